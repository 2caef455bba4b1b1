// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls of libxengnttab and libxengntshr, under their own names.
//!
//! The same promises: a map is all or nothing and contiguous, an unmap is of the whole, an
//! unshared page stays until both sides let go. No leak where the libraries on Linux have one: a
//! call that fails leaves nothing reserved, and a notification is set before the first page is
//! mapped, so that it's never missing. Addresses are valid in [`Gnttab::read`] and the like only;
//! everywhere else they are numbers.

mod gntshr;
mod gnttab;

pub use self::gntshr::Gntshr;
pub use self::gnttab::Gnttab;
use drivers::PortNumber;
use drivers::memory::PAGE_SIZE;
use drivers::notify::{CLEAR_BYTE, NotifyRequest, SEND_EVENT};

/// What `notify_offset` and `notify_port` ask for: an offset of a page or more clears no byte, no
/// port sends no event.
fn request_of(offset: u32, port: Option<PortNumber>) -> (usize, NotifyRequest) {
    let clears = (offset as usize) < PAGE_SIZE;
    let action = if clears { CLEAR_BYTE } else { 0 } | if port.is_some() { SEND_EVENT } else { 0 };
    let byte = if clears { offset as usize } else { 0 };
    (byte, NotifyRequest { action, port: port.unwrap_or_default() })
}
