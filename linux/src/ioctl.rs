// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two devices as Linux's ABI has them: `ioctl`, `mmap`, `munmap`, `close`.
//!
//! For code that uses that ABI. It's a thin layer: it decodes, calls the service and encodes, and
//! every rule is the service's. A [`GntdevFile`] or [`GntallocFile`] is an open file, with the
//! addresses that its mmap returned. An ioctl's argument is a slice of bytes; if it doesn't hold
//! the whole structure, the call returns EFAULT. Results are written to it only if the call
//! succeeds.
//!
//! An address is valid only inside what this file's mmap returned; others give EFAULT and are never
//! dereferenced. As in Linux, a closed file returns EBADF, and its mappings stay until they are
//! unmapped. Dropping the file is the end of the process.

mod arg;
mod copy;
mod gntalloc;
mod gntdev;

pub use self::gntalloc::GntallocFile;
pub use self::gntdev::GntdevFile;
use drivers::memory::PAGE_SIZE;
use drivers::{Access, Errno, Error, Pages};
pub use xen_sys::linux::mman::{MAP_SHARED, PROT_READ, PROT_WRITE};

/// Returns the access that protection `prot` gives.
pub(crate) fn access_of(prot: u32) -> Access {
    if prot & PROT_WRITE != 0 { Access::ReadWrite } else { Access::ReadOnly }
}

/// Rounds a length up to pages; `None` if there can't be that many.
fn pages_of(length: u64) -> Option<Pages> {
    u32::try_from(length.div_ceil(PAGE_SIZE as u64)).ok().map(Pages)
}

const UNKNOWN: Error = Error::Local(Errno::ENOTTY, &"unknown command of this device");
const CLOSED: Error = Error::Local(Errno::EBADF, &"the file is closed");
const NOT_A_MAPPING: Error = Error::Local(Errno::EINVAL, &"not all of one mapping of this file");
