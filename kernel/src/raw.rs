// SPDX-License-Identifier: MIT OR Apache-2.0
//! Raw access for people who test Xen itself: the seam, and everything it can break; and where
//! this domain's memory is.
#![expect(unsafe_code, reason = "the door is unsafe to go through")]

use crate::Xen;

/// The Xen below this guest and its memory, bare: every method of [`drivers::Hypervisor`] and
/// [`drivers::memory::Memory`].
///
/// Applications don't need it; the harmless parts are in [`System`](crate::System).
///
/// # Safety
/// This guest's services are sound because nobody else does what they do. The caller, and all code
/// that it gives the value or a copy to,
///
/// * writes only its own grant-table entries, and never uses a reference that the services may use;
///   its entries name only pages that it holds;
/// * maps only into slots that it reserved and prepared itself, and unmaps only what it mapped;
/// * frees each page and releases each slot once, when no entry names it and nothing is mapped;
/// * closes only ports that it opened, and sends only on those;
/// * maps no frames of the grant table;
/// * keeps these rules also when calling methods that are safe functions.
///
/// A caller that breaks one of these on purpose, as a hostile guest does, must ensure that this
/// affects no Rust memory of this guest.
///
/// # Panics
/// On the host, where there is no Xen.
pub unsafe fn xen() -> Xen {
    #[cfg(target_os = "none")]
    {
        Xen::HERE
    }
    #[cfg(not(target_os = "none"))]
    panic!("on the host there is no Xen; test with the crate `fake-xen`")
}

/// The address of each frame that this domain has, by the frame's number: what
/// [`Memory::read`](drivers::memory::Memory::read) of [`xen`] may be given by who looks for
/// something in all of the memory. `None` where nothing is mapped: a guard page, a frame that
/// nobody has asked for yet, or one that Xen has back.
///
/// Empty on the host.
pub fn frames() -> impl Iterator<Item = Option<usize>> {
    crate::machine::memory::frames()
}
