// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promises of the types beyond their layout.

use xen_sys::errno::Errno;
use xen_sys::grant_table::{GnttabMapGrantRef, GrantStatus, Gtf};
use xen_sys::xen::SharedInfo;

#[test]
fn an_operation_that_xen_never_reached_is_no_success() {
    assert_eq!(GnttabMapGrantRef::default().status, GrantStatus::GENERAL_ERROR);
}

#[test]
fn a_value_that_no_constant_names_is_kept_and_printed() {
    assert_eq!(format!("{:?}", GrantStatus::BAD_GNTREF), "BAD_GNTREF");
    assert_eq!(format!("{:?}", GrantStatus(1)), "GrantStatus(1)");
    assert_eq!(format!("{:?}", Errno(1000)), "Errno(1000)");
}

#[test]
fn flags_keep_the_bits_that_this_crate_does_not_know() {
    let flags = Gtf::from_bits_retain(0x8001);
    assert_eq!((flags | Gtf::READONLY).bits(), 0x8005);
    assert_eq!(flags & Gtf::TYPE_MASK, Gtf::PERMIT_ACCESS);
    assert_eq!(Gtf::from_bits_truncate(0x8001), flags);
    assert_eq!((!Gtf::TYPE_MASK).bits(), 0xfffc);
}

#[test]
fn a_new_shared_page_is_all_zero() {
    static PAGE: SharedInfo = SharedInfo::new();
    assert!(
        PAGE.evtchn_pending.iter().all(|word| word.load(std::sync::atomic::Ordering::Relaxed) == 0)
    );
    assert_eq!(format!("{PAGE:?}"), format!("{:?}", SharedInfo::default()));
}
