// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenarios on FakeXen: each leaves nothing behind and prints exactly the golden file's lines.
//!
//! `BLESS=1` rewrites the golden file, for intended changes.

use std::path::Path;

use fake_xen::{Config, World};

/// The golden file. It's beside the scenarios, since runs on other systems are compared with it,
/// too.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../conformance/golden.txt");

#[test]
fn every_scenario_prints_its_known_lines_and_leaves_nothing_behind() {
    let mut transcript = String::new();
    for scenario in conformance::all() {
        let world = World::new();
        let guest = world.guest(1, Config { pages: 2048, ..Config::default() });
        let free = guest.system.frames().free;
        for line in trials::conformance::run(scenario, &guest.services) {
            transcript += &line;
            transcript.push('\n');
        }
        assert_eq!(guest.system.frames().free, free, "{} lost pages", scenario.name);
        guest.assert_clean();
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(GOLDEN, &transcript).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(Path::new(GOLDEN)).unwrap_or_default();
    for (said, expected) in transcript.lines().zip(golden.lines()) {
        assert_eq!(said, expected);
    }
    assert_eq!(transcript.lines().count(), golden.lines().count());
}

#[test]
fn no_scenario_is_missing() {
    assert!(conformance::all().count() >= 120);
}
