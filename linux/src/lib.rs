// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux's API of the grant devices, and that of Xen's libraries, on top of Grantkit's services.
//!
//! For code that was written for Linux, and for comparing Grantkit with Linux. It's a thin layer:
//! it decodes, calls `drivers` and encodes, and every rule is the service's.
//!
//! ```
//! use drivers::GrantRef;
//! use fake_xen::Pair;
//! use linux::ioctl::{PROT_READ, PROT_WRITE};
//! use linux::libxen::{Gntshr, Gnttab};
//!
//! let Pair { alice, bob, .. } = Pair::new();
//! let mut gntshr = Gntshr::open(&alice.gntalloc)?;
//! let mut grefs = [GrantRef(0); 2];
//! let ours = gntshr.share_pages(bob.domid.get(), &mut grefs, true)?;
//! gntshr.write(ours + 4096, b"hello")?;
//! let mut gnttab = Gnttab::open(&bob.gntdev)?;
//! let grefs = grefs.map(|gref| gref.0);
//! let theirs = gnttab.map_grant_refs(&[1, 1], &grefs, PROT_READ | PROT_WRITE)?;
//! let mut seen = [0; 5];
//! gnttab.read(theirs + 4096, &mut seen)?;
//! assert_eq!(&seen, b"hello");
//! # Ok::<(), drivers::Error>(())
//! ```
//!
//! # Map
//!
//! * [`ioctl`]: open files of /dev/xen/gntalloc and gntdev, with `ioctl`, `mmap`, `munmap`, `close`.
//! * [`libxen`]: the calls of libxengnttab and libxengntshr.
//! * [`abi`]: the numbers and layouts, from `xen-sys`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ioctl;
pub mod libxen;

/// The numbers and structures of Linux's headers.
pub use xen_sys::linux as abi;
