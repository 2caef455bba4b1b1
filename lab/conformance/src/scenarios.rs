// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenarios, by topic. They avoid only what would bring Linux down.

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

/// Action of a notification: the byte at its index becomes 0.
const CLEAR_BYTE: u32 = UnmapNotifyAction::CLEAR_BYTE.bits();
/// Action of a notification: an event is sent.
const SEND_EVENT: u32 = UnmapNotifyAction::SEND_EVENT.bits();

/// A number that no port has.
const NO_PORT: u32 = 3_000;

/// A reference of the own domain that was never given out.
fn unused(s: &Script<'_>) -> Grant {
    Grant::raw(s.domid().into(), 30_000)
}
