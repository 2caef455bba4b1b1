//! Where things are: the builder's layout, and the address space this kernel adds to it.
//!
//! Both domain builders (tools/libs/guest/xg_dom_x86.c, xen/arch/x86/pv/dom0_build.c) place, in
//! this order from `VIRT_BASE`: image and symbol table, initial ramdisk, P2M, start_info, for a
//! domU the xenstore and console pages, page tables, boot stack. All of that stays; what follows
//! the boot stack is free. Where the initial mapping ends, the page tables say (`translate.rs`).
#![expect(unsafe_code, reason = "start_info is found by the address Xen passes")]

use core::ops::Range;

use spin::Once;
use xen_sys::xen::StartInfo;

use super::{PAGE_SIZE, Pfn, REGION_SIZE};

/// The address of PFN 0: BASE of `grantkit.ld`.
pub const VIRT_BASE: usize = 0xffff_ffff_8000_0000;

/// The address that PFN 0 would have in the direct map. L4 slot 273, behind the 16 that are Xen's.
pub const DIRECT_MAP: usize = 0xffff_8880_0000_0000;

/// L4 slots 288 to 319. The first 2 MiB hold shared_info and the grant table, the rest is for
/// mappings.
pub const WINDOW: usize = 0xffff_9000_0000_0000;

/// Where Xen's shared_info page is mapped.
pub const SHARED_INFO: usize = WINDOW;

/// Where the frames of the grant table are mapped, one behind the other: room for 510, which is
/// 261,120 grants. A page between it and shared_info stays empty.
pub const GRANT_TABLE: Range<usize> = WINDOW + 2 * PAGE_SIZE..WINDOW + REGION_SIZE;

/// Addresses for mappings of other domains' pages: 16 TiB, for 65,000 devices by plain index.
pub const MAPPINGS: Range<usize> = WINDOW + REGION_SIZE..WINDOW + (16 << 40);

/// What is known from the first instruction on.
#[derive(Debug)]
struct Placed {
    start_info: &'static StartInfo,
    /// The first address behind the boot stack.
    used_end: usize,
}

static PLACED: Once<Placed> = Once::new();

/// Remembers where the builder put things.
///
/// # Safety
/// `start_info` is the address from RSI at entry and `used_end` the RSP.
pub unsafe fn init(start_info: *const StartInfo, used_end: usize) {
    PLACED.call_once(|| {
        // SAFETY: the builder's page; mapped for good, never handed out, written by nobody.
        let start_info = unsafe { &*start_info };
        Placed { start_info, used_end }
    });
}

fn placed() -> &'static Placed {
    PLACED.get().expect("the first statement of the boot sets it")
}

/// The page in which the builder describes the domain.
pub fn start_info() -> &'static StartInfo {
    placed().start_info
}

/// The command line as the toolstack passed it.
pub fn command_line() -> &'static [u8] {
    start_info().cmd_line.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The number of frames the domain has.
pub fn nr_pages() -> Pfn {
    Pfn(start_info().nr_pages)
}

/// The end of what the builder placed: the end of the boot stack.
pub fn used_end() -> Pfn {
    Pfn(((placed().used_end - VIRT_BASE) / PAGE_SIZE) as u64)
}
