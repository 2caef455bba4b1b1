// SPDX-License-Identifier: MIT OR Apache-2.0
//! The demo: two guests with each other, and with a peer that dies.

mod common;

use std::cell::Cell;

use common::{DEMO_OK as OK, MS, SEC, ShellGuest, pair, value};
use fake_xen::Task;

fn steps(guest: &ShellGuest) -> Vec<String> {
    guest.lines_of("step ")
}

/// What a user waits for before powering the guest off.
async fn until_over(guest: &ShellGuest) {
    guest.expect("failed=").await;
    // The peer gets what is still due to it.
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
            assert!(steps.iter().all(|step| step.len() <= 16 + 64 + 3), "{steps:?}");
        }
        assert!(
            steps(&granter)[0].starts_with(
                "step 1 share 64 pages rw, 0 hypercalls to grant, 1 to map, both crc "
            )
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
    let two = ShellGuest::new(&world, 9);
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

/// Destroys one of the two after a number of turns, and then starts a new one. The survivor notices
/// within a second, completes a run with the new one, and has nothing left over. Returns whether
/// the victim lived long enough to complete a run.
fn destroyed_after(turns: usize, granter_dies: bool) -> bool {
    let (world, granter, mapper) = pair();
    let new = ShellGuest::new(&world, 3);
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
        // A second, and a little for the messages.
        stays.pause(1100).await;
        let failed = stays.lines().into_iter().find(|line| line.contains("FAILED"));
        assert_eq!(failed, None, "{turns}: a peer that dies fails no check");
        // In a real guest, one of the kernel's tasks does that.
        stays.services.gntalloc.reap(u32::MAX);
        let grants = stays.services.gntalloc.in_use();
        let maps = stays.services.gntdev.usage().mapped;
        assert_eq!((grants, maps), (0, 0), "{turns}: {:?}", stays.lines());
        new.xen.console_type(&format!("{}\r", &roles[role][3..]));
        if !stays.results().is_empty() {
            // It had completed its run when the other one died.
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

#[test]
fn without_a_shell_each_plays_its_part_once() {
    let (world, granter, mapper) = pair();
    let plan = tasks::DemoPlan { trips: 50, bytes: 256 << 10 };
    let over = Cell::new(0);
    let played = async |guest: &ShellGuest, part, last| {
        assert_eq!(tasks::play(&guest.services, part, plan).await.to_string(), last);
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
