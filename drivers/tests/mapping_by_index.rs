// SPDX-License-Identifier: MIT OR Apache-2.0
//! gntdev by plain index: what each call does, and the order in which its errors are found.

mod common;

use common::{ALICE, domid, errno, events, zeroes};
use drivers::gntdev::{IndexDevice, ReadOnly, ReadWrite};
use drivers::notify::{CLEAR_BYTE, NotifyRequest, SEND_EVENT, UnmapNotify};
use drivers::shared::SharedMut;
use drivers::{Access, ClaimedGrant, Errno, Error, Index, Pages, PortNumber};
use fake_xen::{Config, FakeXen, Guest, Pair};
use xen_sys::grant_table::GrantStatus;

fn open(guest: &Guest) -> IndexDevice<FakeXen> {
    guest.gntdev.open_indexed().unwrap()
}

/// Returns a page's index.
fn at(page: u64) -> Index {
    Index::of_page(page)
}

/// Returns claims of grants that need not exist.
fn claims<const N: usize>() -> [ClaimedGrant; N] {
    [ClaimedGrant::new(ALICE, 8); N]
}

/// Maps pages read-write.
fn map(device: &IndexDevice<FakeXen>, page: u64, count: u32) -> Result<usize, Error> {
    device.mmap(at(page), Pages(count), true, Access::ReadWrite)
}

#[test]
fn reserving_checks_nothing_but_the_number_of_references() {
    let pair = Pair::new();
    let (bob, typed) = (open(&pair.bob), pair.bob.gntdev.open().unwrap());
    assert_eq!(errno(bob.map_grant_ref(&[])), Errno::EINVAL);
    assert_eq!(errno(typed.reserve(&[])), Errno::EINVAL);
    let before = pair.bob.system.counters().hypercalls();
    let grants = [(9, 1), (0x7FFF, u32::MAX), (9, 1)];
    let grants = grants.map(|(domid, gref)| ClaimedGrant::new(domid, gref));
    assert!(bob.map_grant_ref(&grants).is_ok(), "any domid, any reference, repeated");
    assert!(typed.reserve(&grants).is_ok());
    assert_eq!(pair.bob.system.counters().hypercalls(), before);
}

#[test]
fn a_wrong_domid_is_found_out_at_map() {
    let pair = Pair::new();
    let bob = open(&pair.bob);
    for wrong in [77, 0x7FF0, 0x7FFF] {
        let grants = [ClaimedGrant::new(wrong, 8)];
        let index = bob.map_grant_ref(&grants).unwrap();
        let by_index = map(&bob, index.page(), 1).unwrap_err();
        let typed = pair.bob.reserve(&grants).map::<ReadWrite>().unwrap_err().error;
        for error in [by_index, typed] {
            let status = Some(GrantStatus::BAD_DOMAIN);
            assert_eq!((error.errno(), error.status()), (Errno::EINVAL, status));
        }
    }
}

#[test]
fn a_full_index_space_is_enomem_and_the_limit_is_each_devices_own() {
    let pair = Pair::new();
    pair.bob.gntdev.set_limit(4).unwrap();
    let bob = open(&pair.bob);
    bob.map_grant_ref(&claims::<3>()).unwrap();
    assert_eq!(errno(bob.map_grant_ref(&claims::<2>())), Errno::ENOMEM);
    bob.map_grant_ref(&claims::<1>()).unwrap();
    open(&pair.bob).map_grant_ref(&claims::<4>()).unwrap();
    for wrong in [0, (1 << 18) + 1, u32::MAX] {
        assert_eq!(errno(pair.bob.gntdev.set_limit(wrong)), Errno::EINVAL);
    }
}

#[test]
fn set_max_grants_changes_the_limit_until_something_is_reserved() {
    let pair = Pair::new();
    let bob = open(&pair.bob);
    bob.set_max_grants(2).unwrap();
    assert_eq!(errno(bob.map_grant_ref(&claims::<3>())), Errno::ENOMEM);
    bob.set_max_grants(100_000).unwrap();
    assert_eq!(errno(bob.set_max_grants(0)), Errno::EINVAL);
    let index = bob.map_grant_ref(&claims::<3>()).unwrap();
    assert_eq!(errno(bob.set_max_grants(5)), Errno::EBUSY);
    bob.unmap_grant_ref(index, Pages(3)).unwrap();
    bob.set_max_grants(5).unwrap();
}

#[test]
fn mmap_finds_its_errors_in_the_seeds_order() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let bob = open(&pair.bob);
    bob.set_max_grants(8).unwrap();
    let first = bob.map_grant_ref(&pair.alice.offer(&export)).unwrap().page();
    let private = |index, count| errno(bob.mmap(index, Pages(count), false, Access::ReadWrite));
    let read_only = |page, count| bob.mmap(at(page), Pages(count), true, Access::ReadOnly);
    // First length and bounds, even if everything else is wrong too.
    for (index, count) in [
        (at(first), 0),
        (at(0), 9),
        (at(8), 1),
        (Index(2048), 1),
        (at(0), u32::MAX),
        (Index(u64::MAX), 1),
    ] {
        assert_eq!(private(index, count), Errno::ENXIO, "{index:?} {count}");
    }
    // Then private and writable, even if nothing is reserved there.
    assert_eq!(private(at(5), 1), Errno::EINVAL);
    let may_be = bob.mmap(at(first), Pages(1), false, Access::ReadOnly);
    bob.munmap(may_be.expect("private and read-only"), Pages(1)).unwrap();
    // Then pages that are not reserved, or already mapped.
    assert_eq!(errno(map(&bob, first + 2, 2)), Errno::EINVAL);
    let addr = map(&bob, first + 1, 1).unwrap();
    assert_eq!(errno(read_only(first, 3)), Errno::EINVAL);
    bob.munmap(addr, Pages(1)).unwrap();
    read_only(first, 3).expect("again after munmap");
}

#[test]
fn any_run_of_reserved_pages_can_be_mapped_part_of_one_reservation_or_across_several() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 6);
    (0..6).for_each(|page| export.write(page * 4096, &[page as u8]).unwrap());
    let grants = pair.alice.offer(&export);
    let bob = open(&pair.bob);
    let first = bob.map_grant_ref(&grants[..3]).unwrap().page();
    let second = bob.map_grant_ref(&grants[3..]).unwrap().page();
    assert_eq!(second, first + 3);
    let across = map(&bob, first + 1, 4).unwrap();
    for page in 0..4 {
        let mut byte = [0];
        bob.read(across + page * 4096, &mut byte).unwrap();
        assert_eq!(usize::from(byte[0]), page + 1);
    }
    let part = bob.mmap(at(first), Pages(1), true, Access::ReadOnly).unwrap();
    assert_eq!(part + 4096, across);
}

#[test]
fn removing_reports_why_the_first_page_cannot_be_removed() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 4);
    let bob = open(&pair.bob);
    let first = bob.map_grant_ref(&pair.alice.offer(&export)).unwrap().page();
    let remove = |index, count| bob.unmap_grant_ref(index, Pages(count));
    assert_eq!(remove(at(first), 0), Ok(()), "nothing to do");
    assert_eq!(remove(Index(u64::MAX), 0), Ok(()));
    let addr = map(&bob, first + 1, 2).unwrap();
    assert_eq!(errno(remove(at(first), 4)), Errno::EBUSY);
    assert_eq!(errno(remove(at(first), 5)), Errno::EBUSY, "the first that can't decides");
    assert_eq!(errno(remove(at(first + 3), 2)), Errno::EINVAL);
    assert_eq!(errno(remove(at(first), u32::MAX)), Errno::EINVAL);
    assert_eq!(errno(remove(Index(at(first).0 + 1), 1)), Errno::EINVAL);
    assert_eq!(errno(remove(Index(u64::MAX - 4095), 2)), Errno::EINVAL);
    assert_eq!(bob.usage().reserved, 4, "nothing changed");
    remove(at(first), 1).expect("part of a reservation");
    assert_eq!(errno(remove(at(first), 1)), Errno::EINVAL, "gone already");
    bob.munmap(addr, Pages(2)).unwrap();
    remove(at(first + 1), 3).unwrap();
    assert_eq!(bob.usage().reserved, 0);
}

#[test]
fn an_index_removed_from_the_middle_of_a_reservation_is_given_out_again() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let grants = pair.alice.offer(&export);
    let bob = open(&pair.bob);
    let first = bob.map_grant_ref(&grants).unwrap().page();
    bob.unmap_grant_ref(at(first + 1), Pages(1)).unwrap();
    assert_eq!(errno(map(&bob, first, 3)), Errno::EINVAL, "a hole is in it");
    assert_eq!(bob.status(at(first + 1)), None);
    assert_eq!(bob.map_grant_ref(&grants[..1]), Ok(at(first + 1)));
    map(&bob, first, 3).expect("whosever the reservations are");
    assert_eq!(bob.usage().mapped, 3);
}

#[test]
fn the_offset_of_an_address_is_returned_only_at_the_start_of_a_mapping() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 4);
    let bob = open(&pair.bob);
    let first = bob.map_grant_ref(&pair.alice.offer(&export)).unwrap().page();
    let addr = map(&bob, first + 1, 3).unwrap();
    assert_eq!(bob.get_offset_for_vaddr(addr), Ok((at(first + 1), Pages(3))));
    for inside in [addr + 1, addr + 4096, addr + 3 * 4096 - 1] {
        assert_eq!(errno(bob.get_offset_for_vaddr(inside)), Errno::EINVAL);
    }
    for outside in [0, addr - 1, addr + 3 * 4096, usize::MAX] {
        assert_eq!(errno(bob.get_offset_for_vaddr(outside)), Errno::EFAULT);
    }
    let other = open(&pair.bob);
    assert_eq!(errno(other.get_offset_for_vaddr(addr)), Errno::EINVAL, "another device's");
    assert_eq!(errno(other.get_offset_for_vaddr(addr - 1)), Errno::EFAULT);
    bob.munmap(addr, Pages(3)).unwrap();
    assert_eq!(errno(bob.get_offset_for_vaddr(addr)), Errno::EFAULT);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn without_a_maptrack_entry_mapping_is_enomem_until_a_page_is_unmapped() {
    let config = Config { max_maptrack_frames: 1, ..Config::default() };
    let pair = Pair::of(Config::default(), config);
    let export = pair.alice.share(&pair.bob, 256);
    let grants = pair.alice.offer(&export);
    let failed = pair.bob.reserve(&grants).map::<ReadWrite>().unwrap_err();
    assert_eq!(failed.error.errno(), Errno::ENOMEM);
    assert_eq!(failed.error.status(), Some(GrantStatus::NO_SPACE));
    drop(failed);
    let bob = open(&pair.bob);
    let first = bob.map_grant_ref(&grants).unwrap().page();
    assert_eq!(errno(map(&bob, first, 256)), Errno::ENOMEM);
    let addr = map(&bob, first, 255).expect("Xen keeps one back");
    bob.munmap(addr, Pages(255)).unwrap();
    drop(pair.bob.map::<ReadWrite>(&grants[1..]));
    assert!(export.end().is_ok());
}

#[test]
fn notify_on_gntdev_finds_action_port_index_and_byte_in_this_order() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let bob = open(&pair.bob);
    let port = PortNumber(99);
    let set = |byte, action| bob.set_unmap_notify(Index(byte), NotifyRequest { action, port });
    assert_eq!(errno(set(0, 4 | SEND_EVENT | CLEAR_BYTE)), Errno::EINVAL, "unknown action");
    assert_eq!(errno(set(0, SEND_EVENT | CLEAR_BYTE)), Errno::EINVAL, "port not open");
    assert_eq!(errno(set(0, CLEAR_BYTE)), Errno::ENOENT, "nothing reserved");
    assert_eq!(errno(set(u64::MAX, CLEAR_BYTE)), Errno::ENOENT);
    let index = bob.map_grant_ref(&pair.alice.offer(&export)).unwrap();
    bob.mmap(index, Pages(1), true, Access::ReadOnly).unwrap();
    assert_eq!(errno(set(index.0, CLEAR_BYTE)), Errno::EINVAL, "read-only");
    assert_eq!(set(index.0, 0), Ok(()));
}

#[test]
fn indices_that_found_no_memory_for_their_page_tables_are_free_again() {
    let pair = Pair::new();
    let bob = open(&pair.bob);
    bob.set_max_grants(4).unwrap();
    pair.bob.xen.fail_page_after(0);
    assert_eq!(errno(bob.map_grant_ref(&claims::<3>())), Errno::ENOMEM);
    assert_eq!(bob.map_grant_ref(&claims::<4>()), Ok(at(0)));
}

#[test]
fn the_address_of_a_typed_mapping_means_nothing_to_a_device_by_index() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    export.write(0, b"typed").unwrap();
    let grants = pair.alice.offer(&export);
    let mapping = pair.bob.map::<ReadOnly>(&grants);
    let bob = open(&pair.bob);
    let index = bob.map_grant_ref(&grants).unwrap();
    map(&bob, index.page(), 2).unwrap();
    let addr = mapping.addr();
    assert_eq!(errno(bob.munmap(addr, Pages(2))), Errno::EINVAL);
    assert_eq!(errno(bob.munmap_and_remove(addr, Pages(2))), Errno::EINVAL);
    assert_eq!(errno(bob.read(addr, &mut [0])), Errno::EFAULT);
    assert_eq!(errno(bob.write(addr, &[0])), Errno::EFAULT);
    assert_eq!(errno(bob.get_offset_for_vaddr(addr)), Errno::EFAULT);
    assert_eq!(&common::bytes(&mapping, 0), b"typed");
}

#[test]
fn a_byte_beyond_the_reservation_is_einval_and_nothing_is_left() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let grants = pair.alice.offer(&export);
    let bob = open(&pair.bob);
    bob.map_grant_ref(&claims::<3>()).unwrap();
    for byte in [8192, 4 * 4096, usize::MAX] {
        let notify = drivers::notify::UnmapNotify::clear_byte(byte);
        let refused = bob.map_grants(&grants, Access::ReadWrite, notify);
        assert_eq!(errno(refused), Errno::EINVAL, "{byte}");
        assert_eq!(bob.usage().reserved, 3);
    }
    let last = drivers::notify::UnmapNotify::clear_byte(8191);
    bob.map_grants(&grants, Access::ReadWrite, last).unwrap();
}

#[test]
fn the_index_of_a_page_beyond_all_is_refused() {
    let pair = Pair::new();
    let (bob, alice) = (open(&pair.bob), pair.alice.gntalloc.open_indexed().unwrap());
    for page in [1 << 52, u64::MAX] {
        assert_eq!(errno(map(&bob, page, 1)), Errno::ENXIO);
        assert_eq!(errno(bob.unmap_grant_ref(at(page), Pages(1))), Errno::EINVAL);
        assert_eq!(errno(alice.dealloc_gref(at(page), Pages(1))), Errno::EINVAL);
        assert_eq!(errno(alice.mmap(at(page), Pages(1), true)), Errno::ENOENT);
    }
    assert_eq!(domid(ALICE), pair.alice.domid);
}

#[test]
fn the_status_of_an_index_is_reported_while_it_is_reserved() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let bob = open(&pair.bob);
    bob.map_grant_ref(&claims::<2>()).unwrap();
    let mut grants = pair.alice.offer(&export);
    grants.push(ClaimedGrant::new(ALICE, 99_999));
    let first = bob.map_grant_ref(&grants).unwrap().page();
    let said = || [bob.status(at(first)), bob.status(at(first + 1)), bob.status(at(first + 2))];
    assert_eq!(said(), [Some(GrantStatus::OKAY), Some(GrantStatus::OKAY), None]);
    assert_eq!(errno(map(&bob, first, 2)), Errno::EINVAL);
    assert_eq!(said(), [Some(GrantStatus::OKAY), Some(GrantStatus::BAD_GNTREF), None]);
    bob.unmap_grant_ref(at(first), Pages(2)).unwrap();
    assert_eq!(said(), [None; 3]);
    assert_eq!(bob.status(Index(u64::MAX)), None);
}

#[test]
fn indices_are_removed_up_to_the_limit_and_none_beyond() {
    let pair = Pair::new();
    let bob = open(&pair.bob);
    bob.set_max_grants(4).unwrap();
    let first = bob.map_grant_ref(&claims::<4>()).unwrap();
    assert_eq!(errno(bob.unmap_grant_ref(first, Pages(5))), Errno::EINVAL);
    assert_eq!(bob.unmap_grant_ref(first, Pages(4)), Ok(()));
}

#[test]
fn a_notification_requested_with_a_mapping_is_about_its_own_pages() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let grants = pair.alice.offer(&export);
    let (alices, bobs) = pair.alice.channel(&pair.bob);
    let bob = open(&pair.bob);
    bob.map_grant_ref(&claims::<2>()).unwrap();
    for byte in [0, 4096 + 5, 3 * 4096 - 1] {
        export.write(0, &[1; 3 * 4096]).unwrap();
        let notify = UnmapNotify::clear_byte(byte);
        let addr = bob.map_grants(&grants, Access::ReadWrite, notify).unwrap();
        assert_eq!(zeroes(&export), []);
        bob.munmap_and_remove(addr, Pages(3)).unwrap();
        assert_eq!(zeroes(&export), [byte]);
    }
    let outside = UnmapNotify::clear_byte(3 * 4096);
    assert_eq!(errno(bob.map_grants(&grants, Access::ReadWrite, outside)), Errno::EINVAL);
    export.write(0, &[1; 3 * 4096]).unwrap();
    let notify = UnmapNotify::event(&bobs);
    let addr = bob.map_grants(&grants, Access::ReadOnly, notify).unwrap();
    let before = events(&pair, &alices);
    bob.munmap_and_remove(addr, Pages(3)).unwrap();
    assert_eq!(events(&pair, &alices), before + 1);
    assert_eq!(zeroes(&export), []);
}
