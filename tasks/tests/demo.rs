//! The demo: two guests against each other, and each against a world that does it no favours.

mod common;

use std::cell::Cell;

use common::{Guest, MS, value};
use drivers::gntdev::ReadWrite;
use drivers::shared::SharedMut;
use drivers::{DomId, ForeignGrant, GrantRef, PortNumber};
use fake_xen::{Task, World};

const OK: [&str; 2] = ["ok demo granter passed=7 failed=0", "ok demo mapper passed=7 failed=0"];
const SEC: u64 = 1000;

/// A world with a granter, domain 1, and a mapper, domain 2.
fn pair() -> (World, Guest, Guest) {
    let world = World::new();
    let (granter, mapper) = (Guest::new(&world, 1), Guest::new(&world, 2));
    (world, granter, mapper)
}

fn steps(guest: &Guest) -> Vec<String> {
    guest.lines().into_iter().filter(|line| line.starts_with("step ")).collect()
}

fn complaints(guest: &Guest) -> Vec<String> {
    guest.lines().into_iter().filter(|line| line.starts_with("demo: ")).collect()
}

/// What a user waits for, and then powers the guest off.
async fn until_over(guest: &Guest) {
    guest.expect("failed=").await;
    // The peer gets what is left for it.
    guest.pause(100).await;
    guest.xen.console_type("poweroff\r");
}

#[test]
fn two_guests_that_know_nothing_of_each_other_make_every_step_in_either_order() {
    for [first, second] in [[0, 40], [40, 0], [0, 0], [3 * SEC, 0]] {
        let (world, granter, mapper) = pair();
        let lines =
            [format!("-- sleep {first}; demo granter"), format!("-- sleep {second}; demo mapper")];
        world.run([
            granter.task(&lines[0], until_over(&granter)),
            mapper.task(&lines[1], until_over(&mapper)),
        ]);
        assert_eq!(granter.results()[1], OK[0], "{:?}", granter.lines());
        assert_eq!(mapper.results()[1], OK[1], "{:?}", mapper.lines());
        for guest in [&granter, &mapper] {
            let steps = steps(guest);
            assert_eq!(steps.len(), 7, "{steps:?}");
            assert!(steps.iter().all(|step| step.ends_with(" ok")), "{steps:?}");
            // The report has 68 columns for the words.
            assert!(steps.iter().all(|step| step.len() <= 16 + 68 + 3), "{steps:?}");
        }
        assert!(
            steps(&granter)[0]
                .starts_with("step 1 share 64 pages rw, 0 hypercalls to grant, 1 to map, crc ")
        );
        assert!(world.now() < (first.max(second) + 5 * SEC) * MS, "{}", world.now());
        granter.end();
        mapper.end();
    }
}

#[test]
fn the_service_goes_on_behind_the_shell_and_serves_every_later_mapper() {
    let (world, granter, mapper) = pair();
    let user = async {
        granter.expect(OK[0]).await;
        mapper.expect(OK[1]).await;
        let typed = mapper.ask("demo mapper\r", "failed=").await;
        assert!(typed.ends_with(OK[1]), "{typed}");
        let status = granter.ask("status\r", "ok status").await;
        for key in ["grants", "parked", "maps", "reserved"] {
            assert_eq!(value(&status, key), "0");
        }
        granter.xen.console_type("poweroff\r");
        mapper.xen.console_type("poweroff\r");
    };
    world.run([granter.task("-- demo granter", user), mapper.task("-- demo mapper", async {})]);
    assert_eq!(steps(&granter).len(), 14);
    granter.end();
    mapper.end();
}

#[test]
fn two_mappers_are_served_one_after_the_other() {
    let (world, granter, one) = pair();
    let two = Guest::new(&world, 9);
    let user = async {
        one.expect(OK[1]).await;
        two.expect(OK[1]).await;
        for guest in [&granter, &one, &two] {
            guest.xen.console_type("poweroff\r");
        }
    };
    world.run([
        granter.task("-- demo granter", user),
        one.task("-- demo mapper", async {}),
        two.task("-- demo mapper", async {}),
    ]);
    for guest in [granter, one, two] {
        guest.end();
    }
}

/// Destroys one of the two after so many turns, and starts a new one after that. Whoever stays
/// notices within a second, makes a whole run with the new one and has nothing left. Whether it
/// lived long enough to make a whole run.
fn destroyed_after(turns: usize, granter_dies: bool) -> bool {
    let (world, granter, mapper) = pair();
    let new = Guest::new(&world, 3);
    let roles = ["-- demo granter", "-- demo mapper"];
    let (stays, dies, role) =
        if granter_dies { (&mapper, &granter, 0) } else { (&granter, &mapper, 1) };
    let (died, lived) = (Cell::new(false), Cell::new(false));
    let user = async {
        while !died.get() && stays.results().is_empty() {
            stays.pause(1).await;
        }
        if !died.get() {
            lived.set(true);
            stays.xen.console_type("poweroff\r");
            dies.xen.console_type("poweroff\r");
            return;
        }
        // A second, and a little for what has to be said.
        stays.pause(1100).await;
        // On metal a task of the kernel's does that.
        stays.services.gntalloc.reap(u32::MAX);
        let grants = stays.services.table.in_use();
        let maps = stays.services.gntdev.usage().mapped;
        assert_eq!((grants, maps), (0, 0), "{turns}: {:?}", stays.lines());
        new.xen.console_type(&format!("{}\r", &roles[role][3..]));
        if !stays.results().is_empty() {
            // It had made its run when the other one died.
            stays.xen.console_type(&format!("{}\r", &roles[1 - role][3..]));
        }
        new.expect("failed=").await;
        let last = stays.expect("failed=").await;
        assert_eq!(last.lines().last(), Some(OK[1 - role]), "{turns}");
        stays.xen.console_type("poweroff\r");
        new.pause(100).await;
        new.xen.console_type("poweroff\r");
    };
    let ends = async {
        while !died.get() && stays.results().is_empty() {
            new.pause(1).await;
        }
        if lived.get() || !died.get() {
            new.xen.console_type("poweroff\r");
        }
    };
    world.run([
        dies.mortal_task(roles[role], turns, &died),
        stays.task(roles[1 - role], user),
        new.task("", ends),
    ]);
    if !lived.get() {
        assert_eq!(new.results()[0], OK[role], "{turns}: {:?}", new.lines());
    }
    if granter_dies {
        mapper.end()
    } else {
        granter.end()
    }
    new.end();
    lived.get()
}

#[test]
fn the_granter_notices_a_mapper_that_dies_at_any_moment_and_serves_the_next() {
    let turns = (1..5000).step_by(5).find(|turns| destroyed_after(*turns, false));
    assert!(turns.is_some_and(|turns| turns > 100), "{turns:?}");
}

#[test]
fn the_mapper_notices_a_granter_that_dies_at_any_moment_and_finds_the_next() {
    let turns = (1..5000).step_by(5).find(|turns| destroyed_after(*turns, true));
    assert!(turns.is_some_and(|turns| turns > 100), "{turns:?}");
}

const NODES: [&str; 2] = ["data/grantkit/demo/granter", "data/grantkit/demo/mapper"];

/// Runs both until one of them has said how it ended and the other has had its time.
fn run_both(world: &World, granter: &Guest, mapper: &Guest) {
    let user = async {
        for _ in 0..100 {
            if granter.results().len() + mapper.results().len() > 1 {
                break;
            }
            granter.pause(50).await;
        }
        granter.pause(100).await;
        granter.xen.console_type("\x03\rpoweroff\r");
        mapper.xen.console_type("\x03\rpoweroff\r");
    };
    world.run([granter.task("-- demo granter", user), mapper.task("-- demo mapper", async {})]);
}

#[test]
fn an_error_of_xenstore_at_any_request_is_overcome_or_told_in_one_line() {
    let (world, granter, mapper) = pair();
    run_both(&world, &granter, &mapper);
    let requests = [&granter, &mapper].map(|guest| guest.xen.xenstore_requests());
    assert!(requests.iter().all(|requests| (8..200).contains(requests)), "{requests:?}");
    for (victim, role) in ["granter", "mapper"].iter().enumerate() {
        // Most of the mapper's are looks at domains that are not there.
        let all = requests[victim];
        for nth in (1..=all).filter(|nth| *nth < 8 || nth % 16 == 0 || nth + 12 > all) {
            for (name, errno) in [
                ("EAGAIN", None),
                ("EQUOTA", Some("EDQUOT")),
                ("ENOSPC", Some("ENOSPC")),
                ("EACCES", Some("EACCES")),
            ] {
                let (world, granter, mapper) = pair();
                let victim = [&granter, &mapper][victim];
                victim.xen.xenstore_fail(nth, name);
                run_both(&world, &granter, &mapper);
                let result = &victim.results()[0];
                if !result.starts_with("ok demo ") {
                    assert!(result.starts_with(&format!("error demo {role} errno=")), "{result}");
                    let told = value(result, "errno");
                    assert!(Some(told) == errno || told == "EINTR", "{nth} {name}: {result}");
                    // Only what xenstore refuses for good ends the demo.
                    assert_ne!(name, "EAGAIN", "{nth}: {result}");
                }
                granter.end();
                mapper.end();
            }
        }
    }
}

#[test]
fn nonsense_in_xenstore_costs_a_line_and_the_real_peer_is_served() {
    let long = "9".repeat(2000);
    let words = [
        "",
        "x",
        "1",
        "1 free ",
        "free",
        "2 free",
        "1 2 3",
        "1 -1 5 8 3",
        "1 2 99999999999 8 3",
        "\x1b[2J\n",
        &long,
    ];
    for (reader, node) in [(1, NODES[0]), (0, NODES[1])] {
        let (world, granter, mapper) = pair();
        let guests = [&granter, &mapper];
        let _other = Guest::new(&world, 3);
        let user = async {
            for word in words.iter().cycle().take(60) {
                world.xenstore_publish(3, node, word.as_bytes());
                granter.pause(10).await;
            }
            guests[1 - reader].xen.console_type(["demo granter\r", "demo mapper\r"][1 - reader]);
            mapper.expect("failed=").await;
            granter.expect("failed=").await;
            granter.xen.console_type("poweroff\r");
            mapper.xen.console_type("poweroff\r");
        };
        let lines = [["-- demo granter", ""], ["", "-- demo mapper"]][reader];
        world.run([granter.task(lines[0], user), mapper.task(lines[1], async {})]);
        assert_eq!(granter.results()[0], OK[0]);
        assert_eq!(mapper.results()[0], OK[1]);
        let told = complaints(guests[reader]);
        assert!((1..=9).contains(&told.len()), "{node}: {told:?}");
        granter.end();
        mapper.end();
    }
}

#[test]
fn a_granter_that_offers_what_is_not_there_is_told_of_and_left() {
    for offer in ["99999999 3", "8 3", "0 0", "4294967295 4294967295"] {
        let (world, granter, mapper) = pair();
        let liar = Guest::new(&world, 3);
        world.xenstore_publish(3, NODES[0], b"1 free");
        let user = async {
            // The mapper calls the liar, which is as near as the granter will be.
            let call = loop {
                mapper.pause(1).await;
                if let Some(call) = world.xenstore_read(&format!("/local/domain/2/{}", NODES[1])) {
                    break call;
                }
            };
            let number = call.split(' ').next_back().unwrap();
            world.xenstore_publish(3, NODES[0], format!("1 2 {number} {offer}").as_bytes());
            mapper.pause(50).await;
            granter.xen.console_type("demo granter\r");
            mapper.expect("failed=").await;
            granter.expect("failed=").await;
            granter.xen.console_type("poweroff\r");
            mapper.xen.console_type("poweroff\r");
        };
        world.run([mapper.task("-- demo mapper", user), granter.task("", async {})]);
        assert_eq!(mapper.results()[0], OK[1]);
        assert_eq!(complaints(&mapper).len(), 1, "{:?}", complaints(&mapper));
        for guest in [granter, mapper, liar] {
            guest.end();
        }
    }
}

#[test]
fn a_flood_of_watch_events_costs_no_memory_and_keeps_nobody_from_the_demo() {
    let (world, granter, mapper) = pair();
    let flooder = Guest::new(&world, 3);
    let flood = async {
        for round in 0..100_u32 {
            for node in NODES {
                for i in 0..50 {
                    let node = if i == 0 { node.to_owned() } else { format!("data/{i}") };
                    world.xenstore_publish(3, &node, format!("1 9 {round}").as_bytes());
                }
            }
            flooder.pause(1).await;
        }
        granter.expect("failed=").await;
        mapper.expect("failed=").await;
        for guest in [&granter, &mapper, &flooder] {
            guest.xen.console_type("poweroff\r");
        }
    };
    world.run([
        granter.task("-- demo granter", async {}),
        mapper.task("-- sleep 20; demo mapper", async {}),
        flooder.task("", flood),
    ]);
    assert_eq!(granter.results()[0], OK[0]);
    assert_eq!(mapper.results()[1], OK[1]);
    for guest in [granter, mapper, flooder] {
        guest.end();
    }
}

/// A mapper that answers with these words, and then is silent.
async fn liar(world: &World, guest: &Guest, number: u32, words: [u32; 4]) {
    let offer = loop {
        world.xenstore_publish(3, NODES[1], b"1 1 77");
        guest.pause(1).await;
        let said =
            world.xenstore_read(&format!("/local/domain/1/{}", NODES[0])).unwrap_or_default();
        if said.starts_with("1 3 77 ") {
            break said;
        }
    };
    let numbers: Vec<u32> = offer.split(' ').map(|word| word.parse().unwrap()).collect();
    let (gref, port) = (GrantRef(numbers[3]), PortNumber(numbers[4]));
    let gntdev = guest.services.gntdev.open().unwrap();
    let page = gntdev.insert(&[ForeignGrant { domid: 1, gref }]).unwrap();
    let page = page.map::<ReadWrite>().unwrap();
    let port = guest.services.events.bind_interdomain(DomId::new(1).unwrap(), port).unwrap();
    port.send().unwrap();
    guest.pause(10).await;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    page.write(2048 + 16, &bytes).unwrap();
    page.store_u32(2048, number).unwrap();
    port.send().unwrap();
    guest.pause(12 * SEC).await;
}

#[test]
fn a_mapper_that_lies_fails_its_step_and_the_next_is_served() {
    // Numbers and words of the one answer; the kind of step 1 is 1.
    for (number, words) in
        [(12345, [1, 0, 0, 0]), (1, [7, 0, 0, 0]), (1, [1, 0, 5, 5]), (0, [0; 4])]
    {
        let (world, granter, mapper) = pair();
        let other = Guest::new(&world, 3);
        let user = async {
            liar(&world, &other, number, words).await;
            mapper.xen.console_type("demo mapper\r");
            mapper.expect("failed=").await;
            granter.pause(100).await;
            for guest in [&granter, &mapper, &other] {
                guest.xen.console_type("poweroff\r");
            }
        };
        world.run([
            granter.task("-- demo granter", async {}),
            mapper.task("", async {}),
            other.task("", user),
        ]);
        assert_eq!(mapper.results()[0], OK[1], "{number} {words:?}");
        let first = &granter.results()[0];
        match number {
            // Silence is no lie: its time runs out, and the next one's run is the first.
            0 => assert_eq!(complaints(&granter), ["demo: domain 3 says nothing any more"]),
            _ => assert_eq!(first, "error demo granter errno=EIO status=- passed=0 failed=1"),
        }
        for guest in [granter, mapper, other] {
            guest.end();
        }
    }
}

#[test]
fn without_a_shell_each_plays_its_part_once() {
    let (world, granter, mapper) = pair();
    let plan = tasks::DemoPlan { trips: 50, bytes: 256 << 10 };
    let over = Cell::new(0);
    let played = async |guest: &Guest, part, last| {
        assert_eq!(tasks::play(&guest.services, part, plan).await, last);
        over.set(over.get() + 1);
    };
    world.run([
        Task::new(&granter.services.events, played(&granter, tasks::Part::Granter, OK[0])),
        Task::new(&mapper.services.events, played(&mapper, tasks::Part::Mapper, OK[1])),
    ]);
    assert_eq!(over.get(), 2);
    granter.end();
    mapper.end();
}
