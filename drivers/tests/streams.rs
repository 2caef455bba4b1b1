// SPDX-License-Identifier: MIT OR Apache-2.0
//! Printing: who yields, and who gets an event.

mod common;

use std::pin::pin;

use drivers::Call;
use embassy_futures::poll_once;
use fake_xen::{Config, ConsoleKind, Task, World};

#[test]
fn a_task_that_yields_continues_without_an_event() {
    // Xen's own console sends no event for room.
    let world = World::new();
    let guest = world.guest(1, Config { console: ConsoleKind::Hypervisor, ..Config::default() });
    let text = "x".repeat(5000);
    let print = async {
        for _ in 0..20 {
            guest.console.print(text.as_bytes()).await;
        }
    };
    world.run([Task::new(&guest.events, print)]);
    assert_eq!(guest.xen.console_output(), text.repeat(20));
}

#[test]
fn a_task_that_moves_little_at_a_time_yields_too() {
    let world = World::new();
    let guest = world.guest(1, Config { console: ConsoleKind::Hypervisor, ..Config::default() });
    let mut print = pin!(async {
        for _ in 0..100 {
            guest.console.print(&[b'x'; 100]).await;
        }
    });
    for polls in 1..=4 {
        assert!(poll_once(print.as_mut()).is_pending());
        assert_eq!(guest.xen.console_output().len(), 2100 * polls);
    }
    assert!(poll_once(print.as_mut()).is_ready());
}

#[test]
fn a_message_printed_while_a_line_waits_goes_before_or_after_the_line() {
    let (line, output) = common::line_that_waits(|guest| {
        // Before the line's writer notices the room.
        guest.xen.console_daemon(true);
        guest.console.print_now(b"\na message\n");
    });
    assert!(output.contains(&line), "{}", &output[18_000..]);
    assert!(output.contains("\r\na message\r\n"), "{}", &output[18_000..]);
}

#[test]
fn a_newline_counts_as_two_bytes_when_checking_whether_a_text_fits() {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    guest.xen.console_daemon(false);
    // Room for 4,000 bytes is left, and the text grows to 6,000.
    guest.console.print_now(&[b'.'; 2048 + 16_384 - 4000]);
    let mut print = pin!(guest.console.print(&[b'\n'; 3000]));
    assert!(poll_once(print.as_mut()).is_pending());
    guest.console.print_now(b"a message");
    guest.xen.console_daemon(true);
    world.run([Task::new(&guest.events, print)]);
    assert!(guest.console.drain(world.now() + 1_000_000_000));
    let expected = ".".repeat(14_432) + "a message" + &"\r\n".repeat(3000);
    assert_eq!(guest.xen.console_output(), expected);
}

#[test]
fn output_still_in_the_ring_is_not_drained() {
    let guest = World::new().guest(1, Config::default());
    guest.xen.console_daemon(false);
    guest.console.print_now(b"the last words");
    assert!(!guest.console.drain(guest.system.now() + 1_000_000));
    guest.xen.console_daemon(true);
    assert!(guest.console.drain(guest.system.now() + 1_000_000));
    assert_eq!(guest.xen.console_output(), "the last words");
}

#[test]
fn the_daemon_is_notified_once_of_output_in_the_ring() {
    let guest = World::new().guest(1, Config::default());
    guest.xen.console_daemon(false);
    let sent = || guest.system.counters().calls(Call::EvtchnSend);
    let before = sent();
    guest.console.print_now(b"some bytes");
    assert_eq!(sent(), before + 1);
    // Nothing new was written.
    assert!(!guest.console.drain(guest.system.now() + 100_000));
    assert_eq!(sent(), before + 1);
}
