// SPDX-License-Identifier: MIT OR Apache-2.0
//! All of Xen's answers other than "okay": nothing leaks, the error names the reference, and the
//! service goes on.

mod common;

use common::{BOB, domid, errno};
use drivers::buffer::Buffer;
use drivers::gntalloc::Export;
use drivers::gntdev::{CopyEnd, ReadWrite, Segment, Usage};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, Errno, Index, Pages};
use fake_xen::{FakeXen, Fault, Pair};
use xen_sys::grant_table::GrantStatus;

/// Entries in a batch.
const PAGES: u32 = if cfg!(miri) { 3 } else { 64 };

/// Every failing status, +1, an untouched status, and three hypercall errors, at one position.
fn faults(at: usize) -> impl Iterator<Item = Fault> {
    let statuses =
        (-13..=-1).chain([1]).map(move |raw| Fault::Status { at, status: GrantStatus(raw) });
    let errnos = [Errno::EFAULT, Errno::EPERM, Errno::ENOSYS].into_iter();
    let calls = errnos.map(move |errno| Fault::Hypercall { at, errno });
    statuses.chain(calls).chain([Fault::Untouched { at }])
}

/// The same at every position of a batch.
fn faults_everywhere() -> impl Iterator<Item = (usize, Fault)> {
    (0..PAGES as usize).flat_map(|at| faults(at).map(move |fault| (at, fault)))
}

/// Whether Xen answers "try again", after which it has the page.
fn is_eagain(fault: Fault) -> bool {
    matches!(fault, Fault::Status { status: GrantStatus::EAGAIN, .. })
}

fn export(pair: &Pair) -> Export<FakeXen> {
    pair.alice.share(&pair.bob, PAGES)
}

/// Checks that an entry's error names its reference.
fn assert_names(error: drivers::Error, grant: drivers::ClaimedGrant) {
    if error.status().is_some() {
        let gref = grant.gref.to_string();
        assert!(error.to_string().contains(&gref), "{error} names {gref}");
    }
}

/// Returns how many pages stay mapped when an unmap of all meets a fault.
fn left_by(fault: Fault) -> u32 {
    match fault {
        Fault::Hypercall { at, .. } => PAGES - at as u32,
        Fault::Status { .. } | Fault::Untouched { .. } => 1,
    }
}

#[test]
fn every_failure_of_a_map_at_every_position_leaves_nothing_mapped() {
    let pair = Pair::new();
    let export = export(&pair);
    let grants = pair.alice.offer(&export);
    for (at, fault) in faults_everywhere() {
        let reservation = pair.bob.reserve(&grants);
        pair.bob.xen.inject(Call::GnttabMap, fault);
        let mapped = reservation.map::<ReadWrite>();
        if is_eagain(fault) {
            drop(mapped.expect("asked again"));
            continue;
        }
        let failed = mapped.expect_err("an injected fault");
        match fault {
            Fault::Status { status, .. } => assert_eq!(failed.error.status(), Some(status)),
            Fault::Hypercall { errno, .. } => assert_eq!(failed.error.errno(), errno),
            Fault::Untouched { .. } => {
                assert_eq!(failed.error.status(), Some(GrantStatus::GENERAL_ERROR));
            }
        }
        assert_names(failed.error, grants[at]);
        assert!(export.is_idle(), "{fault:?}");
        let usage = || pair.bob.gntdev.usage();
        assert_eq!(usage(), Usage { reserved: PAGES, mapped: 0, stuck: 0 });
        let mapping = failed.value.map::<ReadWrite>();
        drop(mapping.unwrap_or_else(|_| panic!("usable after {fault:?}")));
        assert_eq!(usage(), Usage::default());
    }
    drop(export);
    pair.assert_clean();
}

#[test]
fn every_failure_of_an_unmap_at_every_position_is_repaired_later() {
    let pair = Pair::new();
    let export = export(&pair);
    let grants = pair.alice.offer(&export);
    let usage = || pair.bob.gntdev.usage();
    for (at, fault) in faults_everywhere() {
        let mapping = pair.bob.map::<ReadWrite>(&grants);
        pair.bob.xen.inject(Call::GnttabUnmap, fault);
        // Dropping the rest makes the second try.
        pair.bob.xen.inject_later(Call::GnttabUnmap, at_position(fault, 0));
        let error = mapping.unmap().expect_err("an injected fault");
        assert_names(error, grants[at]);
        assert_eq!(usage(), Usage { reserved: PAGES, mapped: 0, stuck: left_by(fault) });
        assert!(!export.is_idle(), "the owner sees that it is still mapped");
        pair.bob.gntdev.retry_stuck();
        assert_eq!(usage(), Usage::default());
        assert!(export.is_idle());
    }
    drop(export);
    pair.assert_clean();
}

#[test]
fn an_unmap_that_fails_once_is_repaired_by_dropping() {
    let pair = Pair::new();
    let export = export(&pair);
    let grants = pair.alice.offer(&export);
    for fault in faults(PAGES as usize / 2) {
        let mapping = pair.bob.map::<ReadWrite>(&grants);
        let unmaps = || pair.bob.system.counters().calls(Call::GnttabUnmap);
        let before = unmaps();
        pair.bob.xen.inject(Call::GnttabUnmap, fault);
        mapping.unmap().expect_err("an injected fault");
        assert_eq!(pair.bob.gntdev.usage(), Usage::default());
        assert_eq!(unmaps() - before, 2);
    }
    drop(export);
    pair.assert_clean();
}

#[test]
fn every_failure_of_an_unmap_by_index_is_repaired_by_the_next_call() {
    let pair = Pair::new();
    let export = export(&pair);
    let grants = pair.alice.offer(&export);
    let bob = pair.bob.gntdev.open_indexed().unwrap();
    for (at, fault) in faults_everywhere() {
        let index = bob.map_grant_ref(&grants).unwrap();
        let addr = bob.mmap(index, Pages(PAGES), true, Access::ReadWrite).unwrap();
        pair.bob.xen.inject(Call::GnttabUnmap, fault);
        assert_names(bob.munmap(addr, Pages(PAGES)).expect_err("an injected fault"), grants[at]);
        assert_eq!(bob.usage(), Usage { reserved: PAGES, mapped: 0, stuck: left_by(fault) });
        assert!(!export.is_idle());
        bob.unmap_grant_ref(index, Pages(PAGES)).unwrap();
        assert_eq!(bob.usage(), Usage::default());
        assert!(export.is_idle());
    }
    drop((export, bob));
    pair.assert_clean();
}

#[test]
fn every_failure_of_a_copy_at_every_position_is_that_segments_status_alone() {
    let pair = Pair::new();
    let export = export(&pair);
    let grants = pair.alice.offer(&export);
    let bob = pair.bob.gntdev.open().unwrap();
    let buffer = Buffer::new(&pair.bob.system, Pages(PAGES)).unwrap();
    for page in 0..PAGES as usize {
        export.write(page * 4096, &[page as u8 + 1]).unwrap();
    }
    // The 64 entries take batches of 16: try one position in each.
    for (at, fault) in faults_everywhere() {
        buffer.write(0, &vec![0; buffer.size()]).unwrap();
        let mut segments: Vec<_> = (0..PAGES as usize)
            .map(|page| {
                let source = CopyEnd::Grant(grants[page], 0);
                Segment::new(source, CopyEnd::Buffer(&buffer, page * 4096), 1)
            })
            .collect();
        let (batch, position) = (at / 16, at % 16);
        for (number, part) in segments.chunks_mut(16).enumerate() {
            if number == batch {
                pair.bob.xen.inject(Call::GnttabCopy, at_position(fault, position));
            }
            let copied = bob.grant_copy(part);
            let failed = number == batch && matches!(fault, Fault::Hypercall { .. });
            assert_eq!(copied.is_err(), failed, "{fault:?}");
        }
        for (page, segment) in segments.iter().enumerate() {
            let expected = match fault {
                Fault::Hypercall { .. } if page / 16 == batch && page >= at => {
                    GrantStatus::GENERAL_ERROR
                }
                Fault::Status { status, .. } if page == at && !is_eagain(fault) => status,
                Fault::Untouched { .. } if page == at => GrantStatus::GENERAL_ERROR,
                _ => GrantStatus::OKAY,
            };
            assert_eq!(segment.status, expected, "{fault:?}, segment {page}");
            let mut byte = [0];
            buffer.read(page * 4096, &mut byte).unwrap();
            let copied = if expected == GrantStatus::OKAY { page as u8 + 1 } else { 0 };
            assert_eq!(byte[0], copied, "{fault:?}, segment {page}");
        }
        assert!(export.is_idle());
    }
    drop((export, bob, buffer));
    pair.assert_clean();
}

fn at_position(fault: Fault, at: usize) -> Fault {
    match fault {
        Fault::Hypercall { errno, .. } => Fault::Hypercall { at, errno },
        Fault::Status { status, .. } => Fault::Status { at, status },
        Fault::Untouched { .. } => Fault::Untouched { at },
    }
}

#[test]
fn a_page_on_its_way_back_from_swap_is_retried_alone() {
    let pair = Pair::new();
    let export = export(&pair);
    let grants = pair.alice.offer(&export);
    pair.alice.xen.page_out(grants[1].gref, 3);
    let calls = |call| pair.bob.system.counters().calls(call);
    let (maps, yields) = (calls(Call::GnttabMap), calls(Call::SchedYield));
    let mapping = pair.bob.reserve(&grants).map::<ReadWrite>().expect("it comes back");
    assert_eq!(calls(Call::GnttabMap) - maps, 1 + 3);
    assert_eq!(calls(Call::SchedYield) - yields, 3, "others run meanwhile");
    drop(mapping);
}

#[test]
fn a_page_that_never_comes_back_is_given_up_after_16_retries() {
    let pair = Pair::new();
    let export = export(&pair);
    let grants = pair.alice.offer(&export);
    pair.alice.xen.page_out(grants[0].gref, u32::MAX);
    let calls = |call| pair.bob.system.counters().calls(call);
    let maps = calls(Call::GnttabMap);
    let failed = pair.bob.reserve(&grants).map::<ReadWrite>().unwrap_err();
    assert_eq!(calls(Call::GnttabMap) - maps, 1 + 16);
    assert_eq!(failed.error.status(), Some(GrantStatus::EAGAIN));
    assert_eq!(failed.error.errno(), Errno::EINVAL);
    assert!(export.is_idle(), "the others are unmapped");
    // If another page is refused, it isn't worth waiting.
    let mut grants = grants;
    grants[1].gref.0 = 99_999;
    let maps = calls(Call::GnttabMap);
    drop(pair.bob.reserve(&grants).map::<ReadWrite>().unwrap_err());
    assert_eq!(calls(Call::GnttabMap) - maps, 1);
}

#[test]
fn a_copy_of_a_page_on_its_way_back_is_retried_too() {
    let pair = Pair::new();
    let export = export(&pair);
    let grants = pair.alice.offer(&export);
    let bob = pair.bob.gntdev.open().unwrap();
    let buffer = Buffer::new(&pair.bob.system, Pages(1)).unwrap();
    let copy = |gref: usize| {
        let end = |at| CopyEnd::Buffer(&buffer, at);
        let mut segments =
            [0, gref, 0].map(|gref| Segment::new(CopyEnd::Grant(grants[gref], 0), end(gref), 8));
        bob.grant_copy(&mut segments).unwrap();
        segments.map(|segment| segment.status)
    };
    pair.alice.xen.page_out(grants[1].gref, 16);
    assert_eq!(copy(1), [GrantStatus::OKAY; 3]);
    pair.alice.xen.page_out(grants[1].gref, 17);
    assert_eq!(copy(1), [GrantStatus::OKAY, GrantStatus::EAGAIN, GrantStatus::OKAY]);
}

#[test]
fn an_error_of_a_retry_is_the_hypercalls() {
    let pair = Pair::new();
    let export = export(&pair);
    let eagain = Fault::Status { at: 2, status: GrantStatus::EAGAIN };
    pair.bob.xen.inject(Call::GnttabMap, eagain);
    pair.bob.xen.inject_later(Call::GnttabMap, Fault::Hypercall { at: 0, errno: Errno::EFAULT });
    let failed = pair.bob.reserve(&pair.alice.offer(&export)).map::<ReadWrite>().unwrap_err();
    assert_eq!(failed.error.errno(), Errno::EFAULT);
    assert!(export.is_idle());
}

#[test]
fn a_page_that_could_not_be_unmapped_after_a_failed_map_is_unmapped_later() {
    let pair = Pair::new();
    let export = export(&pair);
    let grants = pair.alice.offer(&export);
    let status = GrantStatus::GENERAL_ERROR;
    let fail = || {
        pair.bob.xen.inject(Call::GnttabMap, Fault::Status { at: PAGES as usize - 1, status });
        pair.bob.xen.inject(Call::GnttabUnmap, Fault::Status { at: 1, status });
    };
    fail();
    let failed = pair.bob.reserve(&grants).map::<ReadWrite>().unwrap_err();
    assert!(!export.is_idle(), "one of its pages is still mapped");
    let mapping = failed.value.map::<ReadWrite>().expect("another try unmaps it first");
    let reservation = mapping.unmap().unwrap();
    fail();
    drop(reservation.map::<ReadWrite>().unwrap_err());
    assert!(export.is_idle(), "dropping unmaps what is left");

    let bob = pair.bob.gntdev.open_indexed().unwrap();
    let index = bob.map_grant_ref(&grants).unwrap();
    fail();
    assert_eq!(errno(bob.mmap(index, Pages(PAGES), true, Access::ReadWrite)), Errno::EINVAL);
    assert_eq!(bob.usage(), Usage { reserved: PAGES, mapped: 0, stuck: 1 });
    drop(bob);
    assert!(export.is_idle(), "closing the device unmaps what is left");
    drop(export);
    pair.assert_clean();
}

#[test]
fn address_space_that_xen_will_not_unmap_is_never_given_back() {
    let pair = Pair::new();
    let export = export(&pair);
    let grants = pair.alice.offer(&export);
    let deny = |errno| pair.bob.xen.deny(Call::GnttabUnmap, errno);
    let mapping = pair.bob.map::<ReadWrite>(&grants);
    let addr = mapping.addr();
    drop(mapping);
    let mapping = pair.bob.map::<ReadWrite>(&grants);
    assert_eq!(mapping.addr(), addr, "the addresses are reused");
    deny(Some(Errno::EFAULT));
    drop(mapping);
    let other = pair.bob.map::<ReadWrite>(&grants);
    assert_ne!(other.addr(), addr, "while something is mapped there");
    deny(None);
    pair.bob.gntdev.retry_stuck();
    assert_eq!(pair.bob.map::<ReadWrite>(&grants).addr(), addr, "and once nothing is");
    drop(other);

    let open = || {
        let bob = pair.bob.gntdev.open_indexed().unwrap();
        let index = bob.map_grant_ref(&grants).unwrap();
        let addr = bob.mmap(index, Pages(PAGES), true, Access::ReadWrite).unwrap();
        (bob, addr)
    };
    let (bob, addr) = open();
    deny(Some(Errno::EFAULT));
    drop(bob);
    let (bob, other) = open();
    assert!(addr.abs_diff(other) >= PAGES as usize * 4096, "while something is mapped there");
    assert_eq!(pair.bob.gntdev.usage().stuck, PAGES);
    deny(None);
    drop(bob);
    pair.bob.gntdev.retry_stuck();
    drop(export);
    pair.assert_clean();
}

#[test]
fn services_dropped_while_xen_unmaps_nothing_keep_their_addresses_reserved() {
    let pair = Pair::new();
    let export = export(&pair);
    let grants = pair.alice.offer(&export);
    let Pair { alice, bob, world: _world } = pair;
    let mapping = bob.map::<ReadWrite>(&grants);
    let indexed = bob.gntdev.open_indexed().unwrap();
    indexed.map_grant_ref(&grants).unwrap();
    indexed.mmap(Index(0), Pages(PAGES), true, Access::ReadOnly).unwrap();
    bob.xen.deny(Call::GnttabUnmap, Some(Errno::ENOSYS));
    // FakeXen panics if address space is released with a mapping in it.
    drop((mapping, indexed));
    drop(bob.services);
    assert!(!export.is_idle());
    drop(alice);
}

#[test]
#[cfg_attr(miri, ignore = "takes long")]
fn every_success_mask_of_eight_is_all_or_nothing() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 8);
    for mask in 0..=255u32 {
        for at in (0..8).filter(|at| mask & (1 << at) == 0) {
            let status = GrantStatus::BAD_PAGE;
            pair.bob.xen.inject(Call::GnttabMap, Fault::Status { at, status });
        }
        let mapped = pair.bob.reserve(&pair.alice.offer(&export)).map::<ReadWrite>();
        assert_eq!(mapped.is_ok(), mask == 255);
        drop(mapped);
        assert!(export.is_idle(), "mask {mask:#b}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes long")]
fn a_grant_table_that_cannot_grow_is_enospc_and_grows_another_time() {
    let pair = Pair::new();
    let alloc = pair.alice.gntalloc.open();
    for fault in faults(0) {
        pair.alice.xen.inject(Call::GnttabSetupTable, fault);
        let error = alloc.alloc(domid(BOB), Pages(600), Access::ReadWrite).unwrap_err();
        match fault {
            Fault::Hypercall { errno, .. } => assert_eq!(error.errno(), errno),
            _ => assert_eq!(error.errno(), Errno::ENOSPC, "{fault:?}"),
        }
        pair.assert_clean();
    }
    assert!(alloc.alloc(domid(BOB), Pages(600), Access::ReadWrite).is_ok());
}
