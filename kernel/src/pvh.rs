// SPDX-License-Identifier: MIT OR Apache-2.0
//! Code for PVH guests only: a kernel in ring 0 of a hardware container, with its own page tables
//! and descriptor tables, and guest-physical addresses.
//!
//! A frame's GFN is its PFN. Pages of Xen and of other domains appear at guest-physical addresses
//! above all memory. Our tables map these once, at the addresses of the window, so mapping a grant
//! changes none of our tables.

#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod hypercall;
#[cfg(target_os = "none")]
mod interface;
#[cfg(target_os = "none")]
mod paging;
mod params;
#[cfg(target_os = "none")]
mod rings;
mod start_info;
#[cfg(target_os = "none")]
mod traps;
#[cfg(target_os = "none")]
mod window;
