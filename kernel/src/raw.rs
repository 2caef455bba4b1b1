// SPDX-License-Identifier: MIT OR Apache-2.0
//! The door for people who test Xen itself: the seam, with everything that it can break.
#![expect(unsafe_code, reason = "the door is unsafe to go through")]

use crate::Xen;

/// The Xen below this guest and its memory, bare: every method of [`drivers::Hypervisor`] and
/// [`drivers::memory::Memory`].
///
/// An application needs none of it; what is harmless is in [`System`](crate::System).
///
/// # Safety
/// The services of this guest are sound because nobody else does what they do. The caller, and all
/// code to which it hands the value or a copy,
///
/// * writes only grant-table entries of its own, and takes no reference that the services may take;
///   an entry names only pages that the caller holds;
/// * maps only into slots that it reserved and prepared itself, and unmaps only what it mapped;
/// * frees each page and releases each slot once, when no entry names it and nothing is mapped;
/// * closes only ports that it opened, and sends only on those;
/// * maps no frames of the grant table;
/// * keeps all this for the methods that are safe functions, too.
///
/// A caller that breaks one of these on purpose, as a hostile guest does, answers for it that no
/// Rust memory of this guest is in what it breaks.
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
