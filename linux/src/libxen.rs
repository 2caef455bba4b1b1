// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls of libxengnttab and libxengntshr, under their own names.
//!
//! They make the same promises: a map is all or nothing and contiguous, an unmap is of a whole
//! mapping, an unshared page stays until both sides have released it. They avoid two faults of the
//! libraries on Linux: a failed call leaves nothing reserved, and a notification is set before the
//! first page is mapped, so that it's never missed. Addresses are valid only in [`Gnttab::read`]
//! and the like; everywhere else they are just numbers.

mod gntshr;
mod gnttab;

pub use self::gntshr::Gntshr;
pub use self::gnttab::Gnttab;
use drivers::PortNumber;
use drivers::memory::PAGE_SIZE;
use drivers::notify::{CLEAR_BYTE, NotifyRequest, SEND_EVENT};

/// Returns the request for a `notify_offset` and `notify_port`: an offset of a page or more clears
/// no byte, and without a port no event is sent.
fn request_of(offset: u32, port: Option<PortNumber>) -> (usize, NotifyRequest) {
    let clears = (offset as usize) < PAGE_SIZE;
    let action = if clears { CLEAR_BYTE } else { 0 } | if port.is_some() { SEND_EVENT } else { 0 };
    let byte = if clears { offset as usize } else { 0 };
    (byte, NotifyRequest { action, port: port.unwrap_or_default() })
}
