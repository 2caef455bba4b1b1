// SPDX-License-Identifier: MIT OR Apache-2.0
//! The demo under adverse conditions: errors, nonsense, floods, and peers that lie.

mod common;

use common::{DEMO_OK as OK, SEC, ShellGuest, pair, value};
use drivers::gntdev::ReadWrite;
use drivers::shared::SharedMut;
use drivers::{ClaimedGrant, DomId, PortNumber};
use fake_xen::World;
use tasks::demo::find::{GRANTER, MAPPER};

const NODES: [&str; 2] = [GRANTER, MAPPER];

fn complaints(guest: &ShellGuest) -> Vec<String> {
    guest.lines_of("demo: ")
}

/// Runs both until one of them has reported its result and the other has had time to finish.
fn run_both(world: &World, granter: &ShellGuest, mapper: &ShellGuest) {
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
        // Most of the mapper's requests look for domains that don't exist.
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
                    // Only a permanent refusal by xenstore ends the demo.
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
        let _other = ShellGuest::new(&world, 3);
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
        let liar = ShellGuest::new(&world, 3);
        world.xenstore_publish(3, NODES[0], b"1 free");
        let user = async {
            // The mapper calls the liar, whose domid is as near as the granter's will be.
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
    let flooder = ShellGuest::new(&world, 3);
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

/// A mapper that answers with these words, and then stays silent.
async fn liar(world: &World, guest: &ShellGuest, number: u32, words: [u32; 4]) {
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
    let (gref, port) = (numbers[3], PortNumber(numbers[4]));
    let gntdev = guest.services.gntdev.open().unwrap();
    let page = gntdev.reserve(&[ClaimedGrant::new(1, gref)]).unwrap();
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
        let other = ShellGuest::new(&world, 3);
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
            // Silence is no lie: it times out, and the next one's run counts as the first.
            0 => assert_eq!(complaints(&granter), ["demo: domain 3 says nothing any more"]),
            _ => assert_eq!(first, "error demo granter errno=EIO status=- passed=0 failed=1"),
        }
        for guest in [granter, mapper, other] {
            guest.end();
        }
    }
}
