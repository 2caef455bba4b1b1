// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the calls are made: who is there, and what Xen allows them.

use drivers::memory::Platform;
use drivers::{Call, Errno, Limits, Services};

use crate::Fault;

/// What each guest has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Pages of memory.
    pub memory: usize,
    /// Grant entries, besides Xen's own eight.
    pub entries: usize,
    /// Mappings of granted pages.
    pub mappings: usize,
    /// The largest index space that a handle of gntdev is given, in grants.
    pub indices: u32,
    /// Whether Xen translates: then no guest maps pages of its own.
    pub translated: bool,
}

/// Guests to make calls by, on some Xen.
pub trait Stage {
    /// That Xen, as a guest sees it.
    type Xen: Platform;

    /// Guests that live at any time, at least 1.
    fn guests(&self) -> usize;

    /// What each of them has room for.
    fn room(&self) -> Room;

    /// A guest with these limits and nothing else in use, and with a number that none had before.
    fn start(&mut self, limits: Limits) -> Services<Self::Xen>;

    /// Destroys a guest, if this stage can: whether it did.
    fn destroy(&mut self, domid: u16) -> bool;

    /// Makes `fault` happen to a guest, at the `call` that comes after so many others of its kind,
    /// if this stage can: whether it will.
    fn inject(&mut self, domid: u16, calls: u32, call: Call, fault: Fault) -> bool;

    /// Makes every `call` of a guest fail, until it's lifted with `None`, if this stage can:
    /// whether it does.
    fn deny(&mut self, domid: u16, call: Call, errno: Option<Errno>) -> bool;

    /// Makes a call with one of its requests to the heap refused, after so many that are answered,
    /// if this stage can. Returns what the call did, and whether it came to that.
    fn lacking<R>(answered: u32, call: impl FnOnce() -> R) -> (R, bool) {
        let _ = answered;
        (call(), false)
    }

    /// Asserts that a guest which has let go of everything has nothing left.
    ///
    /// # Panics
    /// With what is left.
    fn assert_clean(&self, services: &Services<Self::Xen>);
}
