// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console, on the ring and on Xen's own: nothing is lost, whatever the daemon does.

mod common;

use std::cell::Cell;
use std::pin::pin;
use std::sync::atomic::Ordering;

use drivers::gntdev::ReadWrite;
use drivers::{Call, Errno};
use embassy_futures::join::join;
use embassy_futures::poll_once;
use embassy_futures::select::{Either3, select3};
use embedded_io_async::{Read, Write};
use fake_xen::{Config, ConsoleKind, Guest, Pair, Task, World};

fn with(console: ConsoleKind) -> Config {
    Config { console, ..Config::default() }
}

#[test]
fn input_comes_in_and_output_goes_out_on_both_devices() {
    for kind in [ConsoleKind::Ring, ConsoleKind::Hypervisor] {
        let world = World::new();
        let guest = world.guest(1, with(kind));
        let mut bytes = [0; 5];
        let echo = async {
            let len = guest.console.input(&mut bytes).await;
            guest.console.print(&bytes[..len]).await;
        };
        let keyboard = async {
            guest.system.sleep_until(1_000_000).await;
            guest.xen.console_type("hello");
        };
        world.run([Task::new(&guest.events, echo), Task::new(&guest.events, keyboard)]);
        assert_eq!(guest.xen.console_output(), "hello", "{kind:?}");
    }
}

#[test]
fn on_the_ring_a_line_ends_as_a_raw_terminal_needs() {
    for (kind, expected) in [(ConsoleKind::Ring, "a\r\nb"), (ConsoleKind::Hypervisor, "a\nb")] {
        let world = World::new();
        let guest = world.guest(1, with(kind));
        guest.console.print_now(b"a\nb");
        assert_eq!(guest.xen.console_output(), expected);
        let counters = guest.system.counters();
        let calls = [Call::ConsoleWrite, Call::EvtchnSend].map(|call| counters.calls(call));
        assert_eq!(calls, if kind == ConsoleKind::Ring { [0, 1] } else { [1, 0] });
    }
}

#[test]
fn printing_waits_for_room_and_loses_nothing() {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    guest.xen.console_daemon(false);
    let text: String = (0..5000).map(|n| format!("line {n}\n")).collect();
    let print = async { guest.console.print(text.as_bytes()).await };
    let daemon = async {
        guest.system.sleep_until(1_000_000).await;
        // From now on the daemon empties the ring whenever it gets an event.
        guest.xen.console_daemon(true);
    };
    world.run([Task::new(&guest.events, print), Task::new(&guest.events, daemon)]);
    assert!(guest.console.drain(guest.system.now() + 1_000_000_000));
    assert_eq!(guest.xen.console_output(), text.replace('\n', "\r\n"));
    assert_eq!(guest.console.lost(), 0);
}

#[test]
fn printing_without_awaiting_gives_up_after_two_seconds_and_counts_lost_bytes() {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    guest.xen.console_daemon(false);
    let text = vec![b'x'; 100_000];
    guest.console.print_now(&text);
    assert!((2_000_000_000..3_000_000_000).contains(&world.now()), "{}", world.now());
    assert!(!guest.console.drain(world.now() + 1000), "nobody takes it");
    guest.xen.console_daemon(true);
    assert!(guest.console.drain(world.now() + 1_000_000_000));
    let printed = guest.xen.console_output().len() as u64;
    assert_eq!(printed + guest.console.lost(), 100_000);
}

#[test]
fn a_daemon_that_takes_something_every_1500_ms_gets_all_the_time_it_needs() {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    guest.xen.console_daemon(false);
    let next = Cell::new(0);
    let takes = |_| {
        if world.now() >= next.get() {
            guest.xen.console_daemon(true);
            guest.xen.console_daemon(false);
            next.set(world.now() + 1_500_000_000);
        }
    };
    let text = [b'x'; 16_384 + 5 * 2048];
    guest.xen.interleave(takes, || guest.console.print_now(&text));
    assert!(world.now() > 4_000_000_000, "{}", world.now());
    assert_eq!(guest.console.lost(), 0);
}

#[test]
fn text_of_any_length_goes_out_completely() {
    for len in [1, 8191, 8192, 8193, 16_383, 16_384, 16_385] {
        for text in ["x".repeat(len), "\n".repeat(len)] {
            let guest = World::new().guest(1, Config::default());
            let print = async { guest.console.print(text.as_bytes()).await };
            guest.xen.world().run([Task::new(&guest.events, print)]);
            assert!(guest.console.drain(guest.system.now() + 1_000_000_000));
            assert_eq!(guest.xen.console_output(), text.replace('\n', "\r\n"));
        }
    }
}

#[test]
fn the_console_is_busy_only_while_somebody_writes() {
    let guest = World::new().guest(1, Config::default());
    assert!(!guest.console.is_busy());
    let busy = Cell::new(0);
    let look = |_| busy.set(busy.get() + u32::from(guest.console.is_busy()));
    guest.xen.interleave(look, || guest.console.print_now(b"a trap may come here"));
    assert!(busy.get() > 0);
    assert!(!guest.console.is_busy());
}

#[test]
fn a_daemon_that_takes_nothing_gets_no_second_event() {
    let guest = World::new().guest(1, Config::default());
    guest.xen.console_daemon(false);
    guest.console.print_now(&[b'x'; 3000]);
    let rung = || guest.system.counters().calls(Call::EvtchnSend);
    let before = rung();
    guest.console.print_now(b"y");
    assert!(poll_once(guest.console.input(&mut [0; 8])).is_pending());
    assert_eq!(rung(), before);
}

#[test]
fn the_traits_of_embedded_io_read_and_write_the_same_console() {
    let guest = World::new().guest(1, Config::default());
    let (xen, mut io) = (&guest.xen, guest.console.clone());
    let test = async {
        xen.console_type("ab");
        let mut bytes = [0; 8];
        assert_eq!(Read::read(&mut io, &mut bytes).await, Ok(2));
        assert_eq!(bytes, *b"ab\0\0\0\0\0\0");
        xen.console_daemon(false);
        assert_eq!(Write::write(&mut io, b"three\n").await, Ok(6));
        // The byte is in the ring, but nobody has taken it yet.
        assert!(poll_once(Write::flush(&mut io)).is_pending());
        xen.console_daemon(true);
        assert_eq!(Write::flush(&mut io).await, Ok(()));
        assert_eq!(xen.console_output(), "three\r\n");
    };
    xen.world().run([Task::new(&guest.events, test)]);
}

#[test]
fn a_line_of_its_own_starts_on_a_new_line() {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    assert!(guest.console.at_line_start());
    guest.console.print_now(b"prompt> ");
    assert!(!guest.console.at_line_start());
    guest.console.line_now("a message");
    assert!(guest.console.at_line_start());
    guest.console.line_now("another");
    assert_eq!(guest.xen.console_output(), "prompt> \r\na message\r\nanother\r\n");
}

#[test]
fn impossible_indices_count_as_a_full_and_an_empty_ring() {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    guest.xen.console_daemon(false);
    let ring = guest.xen.console_ring();
    ring.out_cons.store(5, Ordering::SeqCst);
    guest.console.print_now(b"kept");
    assert_eq!(ring.out_prod.load(Ordering::SeqCst), 0, "nothing is overwritten");
    ring.in_prod.store(5000, Ordering::SeqCst);
    let mut bytes = [0; 10];
    let read = async {
        let input = guest.console.input(&mut bytes);
        let patience = guest.system.sleep_until(1_000_000);
        let first = embassy_futures::select::select(input, patience).await;
        assert!(matches!(first, embassy_futures::select::Either::Second(())), "no input");
    };
    world.run([Task::new(&guest.events, read)]);
}

#[test]
fn a_line_that_fits_is_written_in_one_piece() {
    let (line, output) = common::line_that_waits(|guest| {
        guest.console.print_now(b"\na message\n");
        guest.xen.console_daemon(true);
    });
    assert!(output.contains(&line), "{}", &output[18_000..]);
}

#[test]
fn printed_output_goes_out_though_nobody_prints_or_reads_any_more() {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    guest.xen.console_daemon(false);
    let line = "a line of sixty bytes, which the ring has room for 34 times\n";
    let test = async {
        for _ in 0..200 {
            guest.console.print(line.as_bytes()).await;
        }
        // The daemon takes a ring's worth at a time.
        for _ in 0..7 {
            guest.xen.console_daemon(true);
            guest.xen.console_daemon(false);
            guest.system.sleep_until(guest.system.now() + 1_000_000).await;
        }
    };
    let upkeep = async {
        embassy_futures::select::select(guest.upkeep(), test).await;
    };
    world.run([Task::new(&guest.events, upkeep)]);
    assert_eq!(guest.xen.console_output(), line.replace('\n', "\r\n").repeat(200));
}

/// A daemon that takes a ring's worth at a time, a thousand times.
async fn slow_daemon(guest: &Guest) {
    for _ in 0..1000 {
        guest.xen.console_daemon(true);
        guest.xen.console_daemon(false);
        guest.system.sleep_until(guest.system.now() + 1_000_000).await;
    }
}

/// Prints `line` forever.
async fn chatter(guest: &Guest, line: &str) {
    loop {
        guest.console.print(line.as_bytes()).await;
    }
}

#[test]
fn a_task_that_prints_much_is_not_starved_by_those_that_print_little() {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    guest.xen.console_daemon(false);
    let much = "much ".repeat(1600);
    let test = async {
        let print = async {
            guest.system.sleep_until(5_000_000).await;
            guest.console.print(much.as_bytes()).await;
        };
        let little = join(chatter(&guest, "little "), chatter(&guest, "less "));
        let all = select3(print, little, slow_daemon(&guest)).await;
        assert!(matches!(all, Either3::First(())), "it never had its turn");
    };
    world.run([Task::new(&guest.events, test)]);
    guest.xen.console_daemon(true);
    assert!(guest.console.drain(world.now() + 1_000_000_000));
    assert!(guest.xen.console_output().contains(&much), "as a whole");
}

#[test]
fn tasks_waiting_for_room_continue_when_the_one_ahead_gives_up() {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    guest.xen.console_daemon(false);
    guest.console.print_now(&[b'.'; 2048 + 12_000]);
    let much = vec![b'm'; 8000];
    let test = async {
        let mut ahead = Box::pin(guest.console.print(&much));
        let mut next = pin!(guest.console.print(b"next"));
        let mut last = pin!(guest.console.print(b"last"));
        assert!(poll_once(ahead.as_mut()).is_pending(), "there is room for half of it");
        assert!(poll_once(next.as_mut()).is_pending(), "it waits its turn");
        assert!(poll_once(last.as_mut()).is_pending());
        let go_on = join(next, last);
        let give_up = async {
            guest.system.sleep_until(1_000_000).await;
            drop(ahead);
        };
        // The daemon takes nothing, so it isn't an event of the ring that lets them continue.
        join(go_on, give_up).await;
    };
    world.run([Task::new(&guest.events, test)]);
    guest.xen.console_daemon(true);
    assert!(guest.console.drain(world.now() + 1_000_000_000));
    assert!(guest.xen.console_output().ends_with(".nextlast"));
}

#[test]
fn upkeep_retries_refused_unmaps() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    let test = async {
        pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
        drop(mapping);
        assert_eq!(pair.bob.gntdev.usage().stuck, 1);
        pair.bob.system.sleep_until(3_000_000_000).await;
        pair.bob.xen.deny(Call::GnttabUnmap, None);
        pair.bob.system.sleep_until(3_200_000_000).await;
        assert_eq!(pair.bob.gntdev.usage().stuck, 0);
    };
    let upkeep = async {
        embassy_futures::select::select(pair.bob.upkeep(), test).await;
    };
    pair.world.run([Task::new(&pair.bob.events, upkeep)]);
    export.end().unwrap();
    pair.assert_clean();
}

#[test]
fn a_line_that_nobody_takes_is_dropped_after_two_seconds_with_its_newlines() {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    guest.xen.console_daemon(false);
    guest.console.print_now(&[b'.'; 2048 + 16_383]);
    assert_eq!(world.now(), 0, "it had room");
    for lines in 1..=3 {
        guest.console.line_now("nobody");
        assert!((2_000_000_000..2_100_000_000).contains(&(world.now() / lines)), "{}", world.now());
        assert_eq!(guest.console.lost(), 8 * lines);
    }
    guest.xen.console_daemon(true);
    guest.console.line_now("somebody");
    assert!(guest.console.drain(world.now() + 1_000_000_000));
    assert!(guest.xen.console_output().ends_with(".\r\nsomebody\r\n"));
}
