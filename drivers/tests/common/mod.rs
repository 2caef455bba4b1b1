// SPDX-License-Identifier: MIT OR Apache-2.0
//! The numbers of the two guests, and what tests of several files look at.
#![allow(dead_code, reason = "every test file uses another part of it")]

pub mod channel;
pub mod waker;

use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::shared::Shared;
use drivers::{ClaimedGrant, DomId, Errno, Error};
use fake_xen::{Config, FakeXen, Guest, Pair, Task, World};

/// The granter's number.
pub const ALICE: u16 = 1;
/// The mapper's number.
pub const BOB: u16 = 2;

pub fn domid(number: u16) -> DomId {
    DomId::new(number).expect("an ordinary number")
}

/// What Alice announces to the peer of an export, as [`Guest::offer`] but without the heap.
///
/// [`Guest::offer`]: fake_xen::Guest::offer
pub fn claims<const N: usize>(export: &Export<FakeXen>) -> [ClaimedGrant; N] {
    let mut grefs = export.grefs();
    std::array::from_fn(|_| domid(ALICE).grant(grefs.next().expect("a page for each claim")))
}

/// Why a call was refused.
pub fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> Errno {
    result.expect_err("refused").errno()
}

/// `N` bytes of shared pages, from `offset` on.
pub fn bytes<const N: usize>(shared: &impl Shared, offset: usize) -> [u8; N] {
    let mut bytes = [0; N];
    shared.read(offset, &mut bytes).expect("inside");
    bytes
}

/// Where the bytes are that are zero.
pub fn zeroes(shared: &impl Shared) -> Vec<usize> {
    let mut bytes = vec![0; shared.size()];
    shared.read(0, &mut bytes).expect("inside");
    (0..bytes.len()).filter(|at| bytes[*at] == 0).collect()
}

/// How many events were delivered to a port so far.
pub fn events(pair: &Pair, port: &Port<FakeXen>) -> u64 {
    pair.alice.events.dispatch();
    pair.bob.events.dispatch();
    port.delivered()
}

/// Prints a line that has to wait, since the ring and most of our own memory are full, and does
/// `meanwhile` after a millisecond. The line as it goes out, and all that went out.
pub fn line_that_waits(meanwhile: impl FnOnce(&Guest)) -> (String, String) {
    let world = World::new();
    let guest = world.guest(1, Config::default());
    guest.xen.console_daemon(false);
    guest.console.print_now(&[b'.'; 2048 + 16_000]);
    let line = "x".repeat(1000) + "\n";
    let print = async { guest.console.print(line.as_bytes()).await };
    let other = async {
        guest.system.sleep_until(1_000_000).await;
        meanwhile(&guest);
    };
    world.run([Task::new(&guest.events, print), Task::new(&guest.events, other)]);
    assert!(guest.console.drain(guest.system.now() + 1_000_000_000));
    (line.replace('\n', "\r\n"), guest.xen.console_output())
}
