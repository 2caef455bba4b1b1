//! The page that Xen and the domain share: pending events, the clock, CR2.
//!
//! It's mapped at a fixed address once there are page tables for that; until then there is no
//! clock and a dump has no CR2.
#![expect(unsafe_code, reason = "the page is found by its fixed address")]

use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use drivers::Errno;
use xen_sys::xen::{SharedInfo, VcpuInfo};

use super::memory::{Mfn, PAGE_SIZE, layout, window};

static MAPPED: AtomicBool = AtomicBool::new(false);

/// Maps it.
///
/// # Errors
/// ENOMEM without frames for the page tables; else Xen's.
pub fn init() -> Result<(), Errno> {
    let mfn = Mfn(layout::start_info().shared_info / PAGE_SIZE as u64);
    window::map_shared_info(mfn)?;
    MAPPED.store(true, Ordering::Relaxed);
    Ok(())
}

/// The page, if it's mapped yet.
pub fn get() -> Option<&'static SharedInfo> {
    let page = ptr::with_exposed_provenance::<SharedInfo>(layout::SHARED_INFO);
    // SAFETY: mapped for good; all its fields are atomic.
    MAPPED.load(Ordering::Relaxed).then(|| unsafe { &*page })
}

/// The part of the only vCPU.
pub fn vcpu() -> Option<&'static VcpuInfo> {
    get().map(|page| &page.vcpu_info[0])
}
