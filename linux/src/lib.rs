//! Linux's face of the grant devices, and the calls of Xen's libraries, over Grantkit's services.
//!
//! For code that was written for Linux, and for the comparison with Linux. Thin: it decodes,
//! calls `drivers`, encodes; every rule is the service's.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ioctl;
pub mod libxen;

/// The numbers and structures of Linux's headers.
pub use xen_sys::linux as abi;
