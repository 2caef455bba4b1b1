// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs Xen in QEMU: with one guest in dom0's place (`alone`), or with a Linux dom0 whose xl
//! creates guests (`running`).

pub mod alone; // Xen with one guest in dom0's place
pub mod apt; // installs tools, and knows where packages come from
mod checks; // runs, reports and counts a check in the lab
pub mod console; // one serial line, split into guest and Xen
mod cpio; // builds an initramfs
pub mod debian; // Xen, Linux and Xen's tools from packages
pub mod dom0; // puts together what dom0 boots from
pub mod domu; // a Linux that is not dom0
pub mod hypervisor; // a hypervisor given as a file
mod libraries; // the shared libraries that programs need
mod line; // the line to dom0's agent
mod mode; // how Xen runs the guests: PV or PVH
pub mod packages; // packages, unpacked and cached
mod prompt; // commands and answers at the guests' prompts
pub mod qemu; // QEMU itself, and its machines
mod running; // Xen with dom0
pub mod view; // Xen's and xl's view of grants and domains
mod witness; // the check of Xen's own log
mod xl; // programs that run in dom0, xl above all

pub use self::mode::Mode;
pub use self::running::{Lab, PATIENCE};
