// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the calls are made: which guests there are, and what Xen allows them.

use drivers::memory::Platform;
use drivers::{Call, Errno, Limits, Services};

use crate::Fault;

/// What each guest has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Pages of memory.
    pub memory: usize,
    /// Grant entries, without the eight that Xen reserves.
    pub entries: usize,
    /// Mappings of granted pages.
    pub mappings: usize,
    /// The largest index space of a gntdev handle, in grants.
    pub indices: u32,
    /// Whether the guests are auto-translated (PVH). Then no guest can map its own pages.
    pub translated: bool,
}

/// The guests that make the calls, on some Xen.
pub trait Stage {
    /// That Xen, as a guest sees it.
    type Xen: Platform;

    /// Returns how many guests are alive at any time, at least 1.
    fn guests(&self) -> usize;

    /// Returns what each guest has room for.
    fn room(&self) -> Room;

    /// Starts a guest with these limits, nothing in use, and a domid that no guest had before.
    fn start(&mut self, limits: Limits) -> Services<Self::Xen>;

    /// Destroys a guest, if this stage can. Returns whether it did.
    fn destroy(&mut self, domid: u16) -> bool;

    /// Injects `fault` into a guest's `call` that follows `calls` more calls of its kind, if this
    /// stage can. Returns whether it can.
    fn inject(&mut self, domid: u16, calls: u32, call: Call, fault: Fault) -> bool;

    /// Makes every `call` of a guest fail, until lifted with `None`, if this stage can. Returns
    /// whether it can.
    fn deny(&mut self, domid: u16, call: Call, errno: Option<Errno>) -> bool;

    /// Makes a call with one of its heap requests refused, after `answered` that succeed, if this
    /// stage can. Returns the call's result, and whether a request was refused.
    fn lacking<R>(answered: u32, call: impl FnOnce() -> R) -> (R, bool) {
        let _ = answered;
        (call(), false)
    }

    /// Asserts that a guest which has released everything has nothing left.
    ///
    /// # Panics
    /// If anything is left. The message says what.
    fn assert_clean(&self, services: &Services<Self::Xen>);
}
