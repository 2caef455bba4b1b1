// SPDX-License-Identifier: MIT OR Apache-2.0
//! Batches to which Xen answers late, wrongly or not at all.

mod common;

use common::errno;
use drivers::buffer::Buffer;
use drivers::gntdev::{CopyEnd, ReadOnly, ReadWrite, Segment};
use drivers::shared::SharedMut;
use drivers::{Access, Call, Errno, GrantStatus, Pages};
use fake_xen::{Fault, Pair};

#[test]
fn a_success_without_a_handle_is_a_failure() {
    for (pages, at) in [(3, 1), (1, 0)] {
        let pair = Pair::new();
        let export = pair.alice.share(&pair.bob, pages);
        let reservation = pair.bob.reserve(&pair.alice.offer(&export));
        pair.bob.xen.inject(Call::GnttabMap, Fault::Status { at, status: GrantStatus::OKAY });
        let failed = reservation.map::<ReadWrite>().expect_err("one of them is not mapped");
        assert_eq!(failed.error.status(), Some(GrantStatus::GENERAL_ERROR));
        assert_eq!(pair.bob.gntdev.usage().mapped, 0);
        assert!(export.is_idle());
        let mapping = failed.value.map::<ReadWrite>().unwrap();
        mapping.write(0, &vec![1; pages as usize * 4096]).unwrap();
    }
}

#[test]
fn a_missing_answer_is_not_mistaken_for_an_earlier_one() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let reservation = pair.bob.reserve(&pair.alice.offer(&export));
    let status = GrantStatus::PERMISSION_DENIED;
    pair.bob.xen.inject(Call::GnttabMap, Fault::Status { at: 1, status });
    let failed = reservation.map::<ReadWrite>().expect_err("refused");
    assert_eq!(failed.error.status(), Some(status));
    pair.bob.xen.inject(Call::GnttabMap, Fault::Untouched { at: 1 });
    let failed = failed.value.map::<ReadWrite>().expect_err("not answered");
    assert_eq!(failed.error.status(), Some(GrantStatus::GENERAL_ERROR));
    let statuses: Vec<_> = failed.value.statuses().map(|(_, status)| status).collect();
    assert_eq!(statuses, [GrantStatus::OKAY, GrantStatus::GENERAL_ERROR]);
}

#[test]
fn a_page_mapped_read_only_can_be_mapped_writable_afterwards() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let reservation = pair.bob.reserve(&pair.alice.offer(&export));
    let reservation = reservation.map::<ReadOnly>().unwrap().unmap().unwrap();
    let mapping = reservation.map::<ReadWrite>().unwrap();
    mapping.write(4090, b"crosses a page").unwrap();
    assert_eq!(&common::bytes::<14>(&export, 4090), b"crosses a page");
}

#[test]
fn a_reservation_is_mapped_again_after_a_restore_renumbers_every_frame() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 9);
    let grants = pair.alice.offer(&export);
    let indexed = pair.bob.gntdev.open_indexed().unwrap();
    let index = indexed.map_grant_ref(&grants).unwrap();
    let mut reservation = pair.bob.reserve(&grants);
    for (byte, access) in [(1, Access::ReadWrite), (2, Access::ReadOnly), (3, Access::ReadWrite)] {
        export.write(8 * 4096, &[byte]).unwrap();
        let mapping = reservation.map::<ReadWrite>().unwrap();
        assert_eq!(common::bytes(&mapping, 8 * 4096), [byte]);
        reservation = mapping.unmap().unwrap();
        let addr = indexed.mmap(index, Pages(9), true, access).unwrap();
        let mut read = [0];
        indexed.read(addr + 8 * 4096, &mut read).unwrap();
        assert_eq!(read, [byte]);
        indexed.munmap(addr, Pages(9)).unwrap();
        pair.bob.xen.restore();
    }
}

#[test]
fn segments_that_a_failed_copy_did_not_reach_are_not_successes() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let claim = pair.alice.offer(&export)[0];
    let buffer = Buffer::new(&pair.bob.system, Pages(2)).unwrap();
    let device = pair.bob.gntdev.open().unwrap();
    // Within one page: one operation per segment. Across two pages: two.
    for (offset, operations) in [(0, 1), (4092, 2)] {
        let new = Segment::new(CopyEnd::Grant(claim, 0), CopyEnd::Buffer(&buffer, offset), 8);
        let mut segments = [new; 40];
        device.grant_copy(&mut segments).unwrap();
        assert!(segments.iter().all(|segment| segment.status == GrantStatus::OKAY));
        // Again, but the hypercall fails at the seventeenth operation.
        let fault = Fault::Hypercall { at: 16, errno: Errno::ENOSYS };
        pair.bob.xen.inject(Call::GnttabCopy, fault);
        assert_eq!(errno(device.grant_copy(&mut segments)), Errno::ENOSYS);
        let (copied, others) = segments.split_at(16 / operations);
        assert!(copied.iter().all(|one| one.status == GrantStatus::OKAY));
        assert!(others.iter().all(|one| one.status == GrantStatus::GENERAL_ERROR));
    }
}
