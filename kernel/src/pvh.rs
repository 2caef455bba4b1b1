// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is of a PVH guest alone: a kernel in ring 0 of a hardware container, with page tables and
//! descriptor tables of its own, and guest-physical addresses.
//!
//! A frame's GFN is its PFN. Pages of Xen's and of other domains appear at guest-physical addresses
//! behind all memory; our tables show these at the addresses of the window, so that mapping a grant
//! changes no table of ours.

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
