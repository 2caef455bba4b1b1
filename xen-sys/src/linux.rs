// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux's public headers for its Xen devices: the arguments of `ioctl` and `mmap` on them.
//!
//! No hypercall uses any of this. It is for code that uses or implements Linux's ABI.

pub mod evtchn;
pub mod gntalloc;
pub mod gntdev;
pub mod mman;

/// `_IOC(_IOC_NONE, device, number, size)`: a command whose argument has `size` bytes.
const fn ioc(device: u8, number: u8, size: usize) -> u32 {
    (size as u32) << 16 | (device as u32) << 8 | number as u32
}
