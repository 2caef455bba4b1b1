// SPDX-License-Identifier: MIT OR Apache-2.0
//! start_info: what the domain builder tells a PV guest.
//!
//! Both builders (tools/libs/guest/xg_dom_x86.c, xen/arch/x86/pv/dom0_build.c) load, in this order
//! from `VIRT_BASE`: image and symbol table, initial ramdisk, P2M, start_info, the xenstore and
//! console pages (domU only), page tables, boot stack.
#![expect(unsafe_code, reason = "start_info and the P2M are found by address")]

use core::sync::atomic::AtomicU64;
use core::{ptr, slice};

use drivers::PortNumber;
use spin::Once;
use xen_sys::xen::{Sif, StartInfo};

use super::p2m::pfn_of;
use crate::metal::interface::{Ring, Start, found};
use crate::metal::memory::layout::{self, VIRT_BASE};
use crate::metal::memory::{Gfn, PAGE_SIZE, Pfn};

static START_INFO: Once<&'static StartInfo> = Once::new();

/// Records where the builder put things.
///
/// # Safety
/// `start_info` is the address from RSI at entry and `stack_end` the RSP.
pub unsafe fn init(start_info: *const StartInfo, stack_end: usize) {
    // SAFETY: the builder's page; never unmapped, handed out or written.
    let start_info = START_INFO.call_once(|| unsafe { &*start_info });
    let frame = |address: usize| Pfn(((address - VIRT_BASE) / PAGE_SIZE) as u64);
    found(Start {
        nr_pages: Pfn(start_info.nr_pages),
        used_end: frame(stack_end),
        root: frame(start_info.pt_base as usize),
        command_line: start_info.cmd_line.split(|&byte| byte == 0).next().unwrap_or_default(),
    });
}

/// The builder's list of this domain's machine frames, indexed by PFN, for the pages it started
/// with.
pub fn frame_list() -> &'static [AtomicU64] {
    let Some(info) = START_INFO.get() else {
        return &[];
    };
    let list = ptr::with_exposed_provenance(info.mfn_list as usize);
    // SAFETY: the list has this many entries, in writable pages that are never unmapped or handed
    // out; all accesses are atomic.
    unsafe { slice::from_raw_parts(list, info.nr_pages as usize) }
}

/// The frame of shared_info.
pub fn shared_info() -> Option<Gfn> {
    START_INFO.get().map(|info| Gfn(info.shared_info / PAGE_SIZE as u64))
}

/// The console ring. There is none in dom0's place, or if the builder didn't put it where it
/// belongs; a debug Xen then prints for any domain.
pub fn console() -> Option<Ring> {
    ring(|info| (info.console_mfn, info.console_evtchn))
}

/// The xenstore ring; there is none in dom0's place.
pub fn xenstore() -> Option<Ring> {
    ring(|info| (info.store_mfn, info.store_evtchn))
}

fn ring(of: impl Fn(&StartInfo) -> (u64, u32)) -> Option<Ring> {
    let info = START_INFO.get().filter(|info| !info.flags.contains(Sif::INITDOMAIN))?;
    let (mfn, port) = of(info);
    // What the builder loaded lies in the initial mapping.
    let pfn = pfn_of(Gfn(mfn)).filter(|&pfn| pfn < layout::used_end())?;
    let page = VIRT_BASE + pfn.0 as usize * PAGE_SIZE;
    Some(Ring { page, port: PortNumber(port) })
}
