// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen in QEMU: with one guest in dom0's place (`alone`), or with a Linux dom0 whose xl creates
//! guests (`running`).

pub mod alone; // Xen with one guest in dom0's place
pub mod apt; // tools that are installed, and where packages come from
mod checks; // a check made in the lab, told of and counted
pub mod console; // one serial line, taken apart into guest and Xen
mod cpio; // an initramfs
pub mod debian; // Xen, Linux and Xen's tools from packages
pub mod dom0; // what dom0 is booted from
pub mod hypervisor; // one in a file that was given
mod libraries; // what programs need to run
mod line; // the line to dom0's agent
mod mode; // how Xen runs the guests
pub mod packages; // Xen, unpacked and kept
mod prompt; // what is said at the guests' prompts
pub mod qemu; // QEMU itself, and what each of its machines has
mod running; // Xen with dom0
pub mod view; // what Xen and its toolstack say of grants and domains
mod witness; // Xen's own log, at the end of a lab
mod xl; // programs that run in dom0, xl above all

pub use self::mode::Mode;
pub use self::running::{Lab, PATIENCE};
