// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two guests' domids, and helpers that several test files use.
#![allow(dead_code, reason = "every test file uses another part of it")]

pub mod channel;
pub mod waker;

use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::shared::Shared;
use drivers::{ClaimedGrant, DomId, Errno, Error};
use fake_xen::{Config, FakeXen, Guest, Pair, Task, World};

/// The granter's domid.
pub const ALICE: u16 = 1;
/// The mapper's domid.
pub const BOB: u16 = 2;

pub fn domid(number: u16) -> DomId {
    DomId::new(number).expect("an ordinary number")
}

/// Returns the claims that Alice announces to an export's peer, like [`Guest::offer`] but without
/// allocating.
///
/// [`Guest::offer`]: fake_xen::Guest::offer
pub fn claims<const N: usize>(export: &Export<FakeXen>) -> [ClaimedGrant; N] {
    let mut grefs = export.grefs();
    std::array::from_fn(|_| domid(ALICE).grant(grefs.next().expect("a page for each claim")))
}

/// Returns a refused call's errno.
pub fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> Errno {
    result.expect_err("refused").errno()
}

/// Reads `N` bytes of shared pages, starting at `offset`.
pub fn bytes<const N: usize>(shared: &impl Shared, offset: usize) -> [u8; N] {
    let mut bytes = [0; N];
    shared.read(offset, &mut bytes).expect("inside");
    bytes
}

/// Returns the offsets of all zero bytes.
pub fn zeroes(shared: &impl Shared) -> Vec<usize> {
    let mut bytes = vec![0; shared.size()];
    shared.read(0, &mut bytes).expect("inside");
    (0..bytes.len()).filter(|at| bytes[*at] == 0).collect()
}

/// Dispatches both guests' events, then returns how many a port has had so far.
pub fn events(pair: &Pair, port: &Port<FakeXen>) -> u64 {
    pair.alice.events.dispatch();
    pair.bob.events.dispatch();
    port.delivered()
}

/// Prints a line that has to wait because the ring and most of the backlog are full, and runs
/// `meanwhile` after a millisecond. Returns the line as it goes out, and the whole output.
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
