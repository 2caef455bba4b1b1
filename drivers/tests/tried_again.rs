// SPDX-License-Identifier: MIT OR Apache-2.0
//! A caller that repeats a call after Xen refused it once or twice: it finds what the first call
//! left, and in the end nothing is left.

mod common;

use common::{bytes, errno, events};
use drivers::gntdev::{ReadWrite, Usage};
use drivers::notify::UnmapNotify;
use drivers::shared::SharedMut;
use drivers::{Access, Call, Errno, Index, Pages, PortNumber};
use fake_xen::{Config, Fault, Pair};
use xen_sys::grant_table::GrantStatus;

/// Returns Xen's refusal of one entry.
fn refusal(at: usize) -> Fault {
    Fault::Status { at, status: GrantStatus::GENERAL_ERROR }
}

#[test]
fn a_map_that_cannot_be_undone_is_repeated_once_it_can() {
    for at in 0..4 {
        let pair = Pair::new();
        let export = pair.alice.share(&pair.bob, 4);
        export.write(0, b"hello").unwrap();
        let (ours, theirs) = pair.alice.channel(&pair.bob);
        let mut reservation = pair.bob.reserve(&pair.alice.offer(&export));
        let notify = UnmapNotify::clear_byte(0).and_event(&theirs);
        reservation.set_notify(notify).unwrap();
        let before = events(&pair, &ours);
        pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
        pair.bob.xen.inject(Call::GnttabMap, refusal(at));
        let mut failed = reservation.map::<ReadWrite>().unwrap_err();
        for _ in 0..3 {
            // Pages that are still mapped are refused before Xen is asked to map anything.
            failed = failed.value.map::<ReadWrite>().unwrap_err();
            assert_eq!(failed.error.errno(), Errno::EFAULT);
        }
        pair.bob.xen.deny(Call::GnttabUnmap, None);
        pair.bob.xen.inject(Call::GnttabMap, refusal(3 - at));
        let failed = failed.value.map::<ReadWrite>().unwrap_err();
        assert!(export.is_idle(), "all of it was taken back");
        let mapping = failed.value.map::<ReadWrite>().unwrap();
        assert_eq!(bytes(&mapping, 0), *b"hello");
        assert_eq!(events(&pair, &ours), before, "nobody has released it");
        drop(mapping);
        assert_eq!(bytes(&export, 0), *b"\0ello");
        assert_eq!(events(&pair, &ours), before + 1);
        export.end().unwrap();
        pair.assert_clean();
    }
}

#[test]
fn a_reservation_dropped_with_pages_mapped_leaves_them_to_the_service() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let reservation = pair.bob.reserve(&pair.alice.offer(&export));
    pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EPERM));
    pair.bob.xen.inject(Call::GnttabMap, refusal(1));
    drop(reservation.map::<ReadWrite>().unwrap_err());
    assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 3, mapped: 0, stuck: 2 });
    pair.bob.xen.deny(Call::GnttabUnmap, None);
    pair.bob.gntdev.retry_stuck();
    export.end().unwrap();
    pair.assert_clean();
}

#[test]
fn indices_whose_map_was_refused_are_reused_only_once_nothing_is_mapped_there() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let grants = pair.alice.offer(&export);
    let device = pair.bob.gntdev.open_indexed().unwrap();
    pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
    for tries in 1..=3 {
        pair.bob.xen.inject(Call::GnttabMap, refusal(1));
        device.map_grants(&grants, Access::ReadWrite, UnmapNotify::clear_byte(0)).unwrap_err();
        assert_eq!(device.usage(), Usage { reserved: 2 * tries, mapped: 0, stuck: 2 * tries });
    }
    for page in 0..9 {
        let index = Index::of_page(page);
        let mapped = device.mmap(index, Pages(1), true, Access::ReadOnly);
        assert_eq!(errno(mapped), Errno::EINVAL, "{page}");
        assert!(device.unmap_grant_ref(index, Pages(1)).is_err());
    }
    pair.bob.xen.deny(Call::GnttabUnmap, None);
    let addr = device.map_grants(&grants, Access::ReadWrite, UnmapNotify::NONE).unwrap();
    assert_eq!(device.usage(), Usage { reserved: 3, mapped: 3, stuck: 0 });
    device.write(addr, b"again").unwrap();
    assert_eq!(bytes(&export, 0), *b"again");
    drop((device, export));
    pair.assert_clean();
}

#[test]
fn grants_not_reserved_for_lack_of_page_tables_are_reserved_and_mapped_later() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 600);
    let grants = pair.alice.offer(&export);
    let (typed, indexed) =
        (pair.bob.gntdev.open().unwrap(), pair.bob.gntdev.open_indexed().unwrap());
    for _ in 0..2 {
        pair.bob.xen.fail_page_after(0);
        assert_eq!(errno(typed.reserve(&grants).map(drop)), Errno::ENOMEM);
        pair.bob.xen.fail_page_after(0);
        assert_eq!(errno(indexed.map_grant_ref(&grants)), Errno::ENOMEM);
    }
    let mapping = typed.reserve(&grants).unwrap().map::<ReadWrite>().unwrap();
    mapping.write(599 * 4096, b"typed").unwrap();
    assert_eq!(bytes(&export, 599 * 4096), *b"typed");
    let addr = indexed.map_grants(&grants, Access::ReadWrite, UnmapNotify::NONE).unwrap();
    indexed.write(addr + 599 * 4096, b"index").unwrap();
    assert_eq!(bytes(&export, 599 * 4096), *b"index");
    drop((mapping, indexed, export));
    pair.assert_clean();
}

#[test]
fn a_grant_table_that_could_not_grow_grows_at_the_next_try() {
    let config = Config { max_grant_frames: 4, pages: 2500, ..Config::default() };
    let pair = Pair::of(config, Config::default());
    pair.alice.gntalloc.set_limit(u32::MAX);
    let device = pair.alice.gntalloc.open();
    let alloc = |pages| device.alloc(pair.bob.domid, Pages(pages), Access::ReadWrite);
    let first = alloc(500).unwrap();
    for errno_of in [Errno::EFAULT, Errno::ENOMEM] {
        pair.alice.xen.deny(Call::GnttabSetupTable, Some(errno_of));
        assert_eq!(errno(alloc(100).map(drop)), errno_of);
        assert_eq!(errno(alloc(100).map(drop)), errno_of);
        pair.alice.xen.deny(Call::GnttabSetupTable, None);
        pair.alice.xen.inject(Call::GnttabSetupTable, refusal(0));
        assert_eq!(errno(alloc(100).map(drop)), Errno::ENOSPC);
        pair.alice.xen.inject(Call::GnttabSetupTable, Fault::Untouched { at: 0 });
        assert_eq!(errno(alloc(100).map(drop)), Errno::ENOSPC);
        assert_eq!(pair.alice.gntalloc.in_use(), 500);
    }
    for pages in [u32::MAX, u32::MAX - 500, 4 * 512] {
        assert_eq!(errno(alloc(pages).map(drop)), Errno::ENOSPC, "{pages}");
    }
    let rest = alloc(4 * 512 - 8 - 500).unwrap();
    assert_eq!(errno(alloc(1).map(drop)), Errno::ENOSPC);
    let offer = pair.alice.offer(&rest);
    drop(pair.bob.map::<ReadWrite>(&offer));
    drop((first, rest));
    pair.assert_clean();
}

#[test]
fn numbers_at_the_ends_of_their_ranges_are_refused_and_change_nothing() {
    let pair = Pair::new();
    let (alice, bob) = (&pair.alice, &pair.bob);
    for number in [0, 4095, 4096, u32::MAX] {
        assert_eq!(errno(alice.events.hold(PortNumber(number))), Errno::EINVAL);
        alice.events.bind_interdomain(bob.domid, PortNumber(number)).unwrap_err();
    }
    let device = bob.gntdev.open_indexed().unwrap();
    let granter = alice.gntalloc.open_indexed().unwrap();
    let last = Index::of_page(u64::MAX / 4096);
    for index in [Index(0), Index(1), Index(u64::MAX), last, Index::of_page(u64::from(u32::MAX))] {
        for count in [1, u32::MAX - 1, u32::MAX] {
            let pages = Pages(count);
            device.mmap(index, pages, true, Access::ReadWrite).unwrap_err();
            device.unmap_grant_ref(index, pages).unwrap_err();
            device.munmap(index.0 as usize, pages).unwrap_err();
            granter.dealloc_gref(index, pages).unwrap_err();
            granter.mmap(index, pages, true).unwrap_err();
        }
        assert_eq!(device.status(index), None);
    }
    let export = alice.share(bob, 2);
    let mapping = bob.map::<ReadWrite>(&alice.offer(&export));
    for offset in [8189, 8192, usize::MAX, usize::MAX - 3] {
        for shared in [&export as &dyn SharedMut, &mapping] {
            assert_eq!(errno(shared.read(offset, &mut [0; 4])), Errno::EINVAL);
            assert_eq!(errno(shared.write(offset, &[1; 4])), Errno::EINVAL);
            assert_eq!(errno(shared.load_u32(offset)), Errno::EINVAL);
            assert_eq!(errno(shared.store_u32(offset, 1)), Errno::EINVAL);
        }
    }
    assert_eq!(bytes(&export, 0), [0; 8192]);
    drop((mapping, export, device, granter));
    pair.assert_clean();
}
