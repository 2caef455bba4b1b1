// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemons of the console and of xenstore act between any two accesses to their rings.

mod common;

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use drivers::Hypervisor;
use fake_xen::{Config, Guest, Pair, Task, World, explore};

fn guest() -> Guest {
    let small = Config { pages: 8, max_grant_frames: 1, ..Config::default() };
    World::new().guest(1, small)
}

/// Lets the console daemon look at its rings once.
fn console_daemon(guest: &Guest) {
    guest.xen.console_daemon(true);
    guest.xen.console_daemon(false);
}

/// Returns how much printed output the guest has published.
fn published(guest: &Guest) -> usize {
    let ring = guest.xen.console_ring();
    let (prod, cons) = (ring.out_prod.load(Ordering::SeqCst), ring.out_cons.load(Ordering::SeqCst));
    guest.xen.console_output().len() + prod.wrapping_sub(cons) as usize
}

#[test]
fn the_console_daemon_reads_what_was_printed_and_nothing_else_whenever_it_looks() {
    let moments = explore(|steps| {
        let guest = guest();
        guest.xen.console_daemon(false);
        let text = "a short line";
        let daemon = || {
            console_daemon(&guest);
            let printed = guest.xen.console_output();
            assert!(text.starts_with(&printed), "{printed:?}");
        };
        steps.run(&guest.xen, daemon, || guest.console.print_now(text.as_bytes()));
        console_daemon(&guest);
        assert_eq!(guest.xen.console_output(), text);
    });
    assert!(moments <= 80, "{moments}: every two moments were tried");
}

#[test]
fn waiting_output_goes_out_whenever_the_console_daemon_makes_room() {
    explore(|steps| {
        let guest = guest();
        guest.xen.console_daemon(false);
        let before = "x".repeat(2045);
        guest.console.print_now(before.as_bytes());
        let mut upkeep = Task::new(&guest.events, guest.upkeep());
        let print = || {
            guest.console.print_now(b"and more");
            while upkeep.step() {}
        };
        steps.run(&guest.xen, || console_daemon(&guest), print);
        while upkeep.step() {}
        // Once there is room, nothing waits any more, though nobody prints or reads.
        let whole = before.clone() + "and more";
        let room = guest.xen.console_output().len() + 2048;
        assert_eq!(published(&guest), whole.len().min(room));
        console_daemon(&guest);
        while upkeep.step() {}
        console_daemon(&guest);
        assert_eq!(guest.xen.console_output(), whole);
    });
}

/// Reads typed input, up to `at_once` bytes at a time.
async fn read_all(guest: &Guest, at_once: usize, got: &RefCell<Vec<u8>>) {
    loop {
        let mut bytes = vec![0; at_once];
        let len = guest.console.input(&mut bytes).await;
        got.borrow_mut().extend(&bytes[..len]);
    }
}

#[test]
fn input_typed_at_any_moment_is_read_completely_and_once() {
    for at_once in [1, 3] {
        explore(|steps| {
            let guest = guest();
            let got = RefCell::new(Vec::new());
            let mut task = Task::new(&guest.events, read_all(&guest, at_once, &got));
            let typed = RefCell::new(String::from("ab"));
            guest.xen.console_type("ab");
            let keyboard = || {
                guest.xen.console_type("cd");
                typed.borrow_mut().push_str("cd");
            };
            steps.run(&guest.xen, keyboard, || while task.step() {});
            while task.step() {}
            assert_eq!(*got.borrow(), typed.borrow().as_bytes());
        });
    }
}

#[test]
fn a_full_input_ring_is_read_completely_and_later_input_follows() {
    let guest = guest();
    let got = RefCell::new(Vec::new());
    let typed: Vec<u8> = (0..3000).map(|n| (n % 251) as u8).collect();
    guest.xen.console_type(&typed);
    let ring = guest.xen.console_ring();
    assert_eq!(ring.in_prod.load(Ordering::SeqCst), 1024, "full");
    let mut task = Task::new(&guest.events, read_all(&guest, 100, &got));
    while task.step() {}
    assert_eq!(*got.borrow(), typed);
}

#[test]
fn input_in_the_ring_is_not_overwritten_before_it_is_read() {
    explore(|steps| {
        let guest = guest();
        let typed: Vec<u8> = (0..1028).map(|n| (n % 251) as u8).collect();
        guest.xen.console_type(&typed);
        guest.xen.console_daemon(false);
        let mut bytes = [0; 4];
        let mut read = Task::new(&guest.events, async {
            assert_eq!(guest.console.input(&mut bytes).await, 4);
            assert_eq!(bytes, typed[..4]);
        });
        steps.run(&guest.xen, || console_daemon(&guest), || while read.step() {});
        assert!(read.is_done());
    });
}

#[test]
fn reading_input_also_moves_output() {
    let guest = guest();
    guest.xen.console_daemon(false);
    let text = "y".repeat(2048 + 100);
    guest.console.print_now(text.as_bytes());
    let got = RefCell::new(Vec::new());
    let mut task = Task::new(&guest.events, read_all(&guest, 1, &got));
    while task.step() {}
    console_daemon(&guest);
    while task.step() {}
    assert_eq!(published(&guest), text.len(), "the daemon rang for room");
    console_daemon(&guest);
    assert_eq!(guest.xen.console_output(), text);
}

/// Lets all daemons of the world look at their rings once.
fn xenstore_daemon(pair: &Pair) {
    pair.bob.xen.yield_cpu();
}

/// Runs a task and the daemons in turn until the task is done.
fn finish(pair: &Pair, task: &mut Task) {
    for _ in 0..1000 {
        while task.step() {}
        if task.is_done() {
            return;
        }
        xenstore_daemon(pair);
    }
    panic!("an answer that nobody noticed");
}

#[test]
fn requests_and_answers_pass_intact_whenever_the_xenstore_daemon_looks() {
    // A request that wraps at the ring's end, one in pieces, and one larger than the ring.
    for (before, len, pace) in [(950, 3, 1024), (0, 3, 7), (0, 1050, 1024)] {
        explore(|steps| {
            let small = Config { pages: 8, max_grant_frames: 1, ..Config::default() };
            let pair = Pair::of(small, small);
            let store = pair.alice.xenstore.clone().unwrap();
            let first = store.write("data/before", &[0; 950][..before]);
            let first = async { drop(first.await.unwrap()) };
            finish(&pair, &mut Task::new(&pair.alice.events, first));
            pair.alice.xen.xenstore_pace(pace);
            let value: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let mut task = Task::new(&pair.alice.events, async {
                store.write("data/a", &value).await.unwrap();
                assert_eq!(store.read("domid").await.unwrap(), b"1");
            });
            if len > 1024 {
                // Skip the first 1024 bytes; the rest is what this tests.
                task.step();
            }
            let run = || finish(&pair, &mut task);
            steps.run(&pair.alice.xen, || xenstore_daemon(&pair), run);
            let written = pair.world.xenstore_read("/local/domain/1/data/a").unwrap();
            assert!(written == String::from_utf8_lossy(&value), "other bytes");
        });
    }
}

#[test]
fn taking_an_answer_wakes_requests_that_wait_for_room() {
    let pair = Pair::new();
    let store = pair.alice.xenstore.clone().unwrap();
    let request = || {
        Task::new(&pair.alice.events, async {
            assert_eq!(store.read("domid").await.unwrap(), b"1");
        })
    };
    let mut issued: Vec<_> = (0..16).map(|_| request()).collect();
    let mut later = request();
    let issue = |tasks: &mut Vec<Task>| {
        for task in tasks {
            task.step();
        }
    };
    issue(&mut issued);
    while later.step() {}
    // When `later` looks, all are answered and none fetched: there is no room, and no event will
    // come.
    for _ in 0..3 {
        xenstore_daemon(&pair);
    }
    while later.step() {}
    issue(&mut issued);
    assert!(issued.iter().all(Task::is_done));
    for _ in 0..3 {
        while later.step() {}
        xenstore_daemon(&pair);
    }
    assert!(later.is_done(), "it was not woken for the room");
}
