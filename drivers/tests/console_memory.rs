// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console while the heap refuses any one allocation, or all of them: nothing is lost.

use std::cell::Cell;

use embassy_futures::select::select;
use fake_xen::heap::{self, Heap, Refusal};
use fake_xen::{Config, ConsoleKind, Guest, Task, World};

#[global_allocator]
static HEAP: Heap = Heap;

const MS: u64 = 1_000_000;
const LINE: &[u8] = b"a line of sixty bytes, which the ring has room for 34 times\n";
const LINES: usize = 400;

/// Runs two printing tasks, a reading one, and the upkeep, while the daemon now and then takes a
/// ring's worth. Returns whether there was an allocation to refuse.
fn prints_and_reads_without(answered: u32, console: ConsoleKind) -> bool {
    let world = World::new();
    let Guest { xen, services } = world.guest(1, Config { console, ..Config::default() });
    let refusal = Refusal::after(answered);
    let heard = Cell::new([0; 5]);
    let guest = async {
        let print = async {
            for _ in 0..LINES / 2 {
                services.console.print(LINE).await;
            }
        };
        let also = async {
            for _ in 0..LINES / 2 {
                services.console.print(LINE).await;
            }
        };
        let read = async {
            let (mut bytes, mut have) = ([0; 5], 0);
            while have < bytes.len() {
                have += services.console.input(&mut bytes[have..]).await;
            }
            heard.set(bytes);
        };
        embassy_futures::join::join3(print, also, read).await;
    };
    let life = async {
        select(services.upkeep(), guest).await;
        assert!(services.console.drain(services.system.now() + 1000 * MS));
    };
    let daemon = async {
        xen.console_daemon(false);
        for _ in 0..30 {
            services.system.sleep_until(services.system.now() + MS).await;
            xen.console_daemon(true);
            xen.console_daemon(false);
        }
        xen.console_daemon(true);
        xen.console_type("hello");
    };
    world.run([
        Task::new(&services.events, daemon),
        Task::new(&services.events, refusal.during(|| true, life)),
    ]);
    assert_eq!(&heard.get(), b"hello", "{answered}");
    let output = xen.console_output().replace('\r', "");
    assert_eq!(output.as_bytes(), LINE.repeat(LINES), "{answered}");
    assert_eq!(services.console.lost(), 0);
    refusal.is_done()
}

#[test]
fn any_allocation_for_printing_and_reading_may_fail_and_nothing_is_lost() {
    for console in [ConsoleKind::Ring, ConsoleKind::Hypervisor] {
        let refused =
            (0..).take_while(|answered| prints_and_reads_without(*answered, console)).count();
        // A task gets its place in the queue before it waits.
        assert!(refused < 20, "{refused}");
    }
}

#[test]
fn a_line_that_cannot_wait_does_not_allocate() {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    let asked = heap::requests(|| {
        (0..100).for_each(|_| guest.console.line_now("no memory is needed for this"));
        assert!(guest.console.drain(guest.system.now() + 1000 * MS));
    });
    assert_eq!(asked, 0);
    let one = heap::requests(|| drop(std::hint::black_box(vec![1; 100])));
    assert_eq!(one, 1, "the heap counts");
}
