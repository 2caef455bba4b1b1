// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page that Xen and the domain share: pending events, the clock.
//!
//! It is mapped at a fixed address once page tables for that exist; until then there is no clock.
#![expect(unsafe_code, reason = "the page is found by its fixed address")]

use core::ptr;

use drivers::Errno;
use spin::Once;
use xen_sys::xen::{SharedInfo, VcpuInfo};

use super::memory::{layout, window};

static PAGE: Once<&'static SharedInfo> = Once::new();

/// Maps the page.
///
/// # Errors
/// ENOMEM without frames for the page tables; otherwise Xen's.
pub fn init() -> Result<&'static SharedInfo, Errno> {
    window::map_shared_info()?;
    let page = ptr::with_exposed_provenance::<SharedInfo>(layout::SHARED_INFO);
    // SAFETY: just mapped, never unmapped; all its fields are atomic.
    Ok(PAGE.call_once(|| unsafe { &*page }))
}

/// The page, once it is mapped.
pub fn get() -> Option<&'static SharedInfo> {
    PAGE.get().copied()
}

/// The only vCPU's part of it.
pub fn vcpu() -> Option<&'static VcpuInfo> {
    get().map(|page| &page.vcpu_info[0])
}
