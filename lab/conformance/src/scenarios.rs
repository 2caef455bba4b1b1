// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenarios, by topic. They avoid only what would crash Linux.

mod alloc;
mod close;
mod copy;
mod copy_errors;
mod dealloc;
mod limits;
mod map;
mod mmap;
mod mmap_local;
mod mmap_part;
mod notify;
mod notify_errors;
mod notify_local;
mod offset;
mod unmap;

use xen_sys::linux::gntdev::UnmapNotifyAction;

use crate::Scenario;
use crate::names::Grant;
use crate::script::Script;

/// Every topic's scenarios.
pub(crate) const TOPICS: &[&[Scenario]] = &[
    map::ALL,
    mmap::ALL,
    mmap_part::ALL,
    unmap::ALL,
    offset::ALL,
    notify::ALL,
    notify_errors::ALL,
    copy::ALL,
    copy_errors::ALL,
    close::ALL,
    alloc::ALL,
    dealloc::ALL,
    mmap_local::ALL,
    notify_local::ALL,
    limits::ALL,
];

const fn scenario(name: &'static str, run: fn(&mut Script<'_>)) -> Scenario {
    Scenario { name, run }
}

/// A notification's action: clear the byte at its index.
const CLEAR_BYTE: u32 = UnmapNotifyAction::CLEAR_BYTE.bits();
/// A notification's action: send an event.
const SEND_EVENT: u32 = UnmapNotifyAction::SEND_EVENT.bits();

/// A port number that is not in use.
const NO_PORT: u32 = 3_000;

/// Returns a gref of the domain's own that was never allocated.
fn unused(s: &Script<'_>) -> Grant {
    Grant::raw(s.domid().into(), 30_000)
}
