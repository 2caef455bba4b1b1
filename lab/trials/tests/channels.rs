// SPDX-License-Identifier: MIT OR Apache-2.0
//! What two guests report about the channels between them, and what each phase may cost.

use std::cell::RefCell;
use std::collections::BTreeMap;

use fake_xen::{Config, Pair, Task};
use trials::channels::{self, End, Plan};

/// Small enough for a test run.
const PLAN: Plan = Plan { messages: 1000, bytes: 1 << 20, long: 4 << 20, each: 100_000 };
/// The size of a ring in bytes.
const RING: u64 = 65_536;

/// The keys of a line, by its phase.
type Said = BTreeMap<String, BTreeMap<String, String>>;

/// What both guests report, the listener first.
fn said() -> [Said; 2] {
    let large = Config { pages: 2048, max_pages: 2048, ..Config::default() };
    let pair = Pair::of(large, large);
    let lines = [const { RefCell::new(Vec::<String>::new()) }; 2];
    let run = |guest: usize, end| {
        let (lines, services) = (&lines[guest], [&pair.alice, &pair.bob][guest]);
        async move {
            let say = |line: &str| lines.borrow_mut().push(line.to_owned());
            channels::run(&services.services, &|| 0, (end, PLAN), &say).await;
        }
    };
    let (one, two) = (run(0, End::Listens), run(1, End::Connects));
    pair.world.run([Task::new(&pair.alice.events, one), Task::new(&pair.bob.events, two)]);
    lines.map(|lines| {
        let lines = lines.into_inner();
        assert_eq!(lines.last().map(String::as_str), Some("ok channels passed=8"), "{lines:?}");
        let keys = |line: &str| {
            let keys = line.split(' ').filter_map(|word| word.split_once('='));
            keys.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let phases = lines.iter().filter_map(|line| line.strip_prefix("ok channel "));
        phases.map(|line| (line.split(' ').next().unwrap().to_owned(), keys(line))).collect()
    })
}

#[test]
fn what_one_guest_sends_the_other_receives_within_the_limits_of_cost() {
    let [listens, connects] = said();
    assert_eq!(listens.len(), 8);
    for (phase, one) in &listens {
        let other = &connects[phase];
        for key in ["bytes", "crc32"] {
            assert_eq!(one[key], other[key], "{phase}");
        }
        for (end, keys) in [("listens", one), ("connects", other)] {
            let number = |key: &str| keys[key].parse::<u64>().unwrap();
            let bytes = number("bytes");
            // In the last phase, both ends of all channels start with a byte each way.
            let copied = match phase.as_str() {
                "answered" => 2 * bytes,
                "views" => 0,
                "at-once" => bytes + 2 * 16,
                _ => bytes,
            };
            assert_eq!(number("copied"), copied, "{phase}, who {end}");
            // A page, besides the rings.
            assert!(number("memory") <= 20 << 10, "{phase}, who {end}: {keys:?}");
            // One more was requested before counting started.
            let events = match phase.as_str() {
                "answered" => 1 + bytes,
                "at-once" => 16 * (3 + PLAN.each.div_ceil(RING)),
                _ => 1 + bytes.div_ceil(RING),
            };
            assert!(number("events") <= events, "{phase}, who {end}: {keys:?}");
            assert_eq!(number("timers"), 0, "{phase}, who {end}");
        }
    }
}
