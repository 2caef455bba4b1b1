//! The calls by plain index, and the order in which their errors are found.

mod common;

use common::{ALICE, BOB, claim, domid, offer, pair, pair_of};
use drivers::gntalloc::FLAG_WRITABLE;
use drivers::gntdev::{MapAccess, Mapping, ReadOnly, ReadWrite};
use drivers::notify::{CLEAR_BYTE, SEND_EVENT, UnmapNotify};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Errno, Error, GrantRef, Hypervisor, Platform, PortNumber};
use fake_xen::Config;
use xen_sys::grant_table::GrantStatus;

const PAGE: u64 = 4096;

fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> Errno {
    result.expect_err("refused").errno()
}

fn map<A: MapAccess, X: Platform>(
    handle: &drivers::gntdev::Handle<X>,
    index: u64,
    count: u32,
) -> Result<Mapping<X, A>, Error> {
    handle.mmap::<A>(index, count, true)
}

#[test]
fn gntalloc_refuses_a_reserved_domid_and_an_unknown_flag() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    let mut grefs = [GrantRef(0)];
    for domid in [0x7FF0, 0x7FFF, 0xFFFF] {
        assert_eq!(errno(alloc.alloc_gref(domid, 0, &mut grefs)), Errno::EINVAL);
    }
    for flags in [2, 3, 0x8000] {
        assert_eq!(errno(alloc.alloc_gref(BOB, flags, &mut grefs)), Errno::EINVAL);
    }
    assert_eq!(pair.alice.table.in_use(), 0);
}

#[test]
fn gntalloc_of_no_pages_succeeds_and_uses_no_index() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    assert_eq!(alloc.alloc_gref(BOB, 0, &mut []), Ok(0));
    assert_eq!(alloc.alloc_gref(BOB, 0, &mut [GrantRef(0); 2]), Ok(0));
    assert_eq!(alloc.alloc_gref(BOB, 0, &mut []), Ok(2 * PAGE));
}

#[test]
fn gntalloc_indices_are_never_used_twice() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    for round in 0..5 {
        assert_eq!(alloc.alloc_gref(BOB, 0, &mut [GrantRef(0); 3]), Ok(round * 3 * PAGE));
        assert_eq!(alloc.dealloc_gref(round * 3 * PAGE, 3), Ok(()));
    }
}

#[test]
fn beyond_the_limit_is_enospc_even_when_memory_is_short_too() {
    let pair = pair_of(Config { pages: 2, ..Config::default() }, Config::default());
    pair.alice.gntalloc.set_limit(4);
    let alloc = pair.alice.gntalloc.open().unwrap();
    assert_eq!(errno(alloc.alloc_gref(BOB, 0, &mut [GrantRef(0); 5])), Errno::ENOSPC);
    assert_eq!(errno(alloc.alloc_gref(BOB, 0, &mut [GrantRef(0); 3])), Errno::ENOMEM);
    assert_eq!(alloc.alloc_gref(BOB, 0, &mut [GrantRef(0); 2]), Ok(0), "nothing was left behind");
}

#[test]
fn the_limit_is_one_for_all_handles() {
    let pair = pair();
    pair.alice.gntalloc.set_limit(3);
    let (one, two) = (pair.alice.gntalloc.open().unwrap(), pair.alice.gntalloc.open().unwrap());
    one.alloc_gref(BOB, 0, &mut [GrantRef(0); 2]).unwrap();
    assert_eq!(errno(two.alloc_gref(BOB, 0, &mut [GrantRef(0); 2])), Errno::ENOSPC);
    two.alloc_gref(BOB, 0, &mut [GrantRef(0)]).unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn a_full_grant_table_is_enospc_and_one_freed_entry_serves_again() {
    let pair = pair_of(Config { max_grant_frames: 1, ..Config::default() }, Config::default());
    let alloc = pair.alice.gntalloc.open().unwrap();
    let index = alloc.alloc_gref(BOB, 0, &mut [GrantRef(0); 504]).expect("512 less 8 reserved");
    assert_eq!(errno(alloc.alloc_gref(BOB, 0, &mut [GrantRef(0)])), Errno::ENOSPC);
    alloc.dealloc_gref(index + 7 * PAGE, 1).unwrap();
    alloc.alloc_gref(BOB, 0, &mut [GrantRef(0)]).expect("one entry is free again");
}

#[test]
fn an_allocation_without_memory_midway_leaves_nothing_behind() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    for after in 0..8 {
        pair.alice.xen.fail_page_after(after);
        assert_eq!(errno(alloc.alloc(domid(BOB), 8, Access::ReadWrite)), Errno::ENOMEM);
        pair.assert_clean();
    }
}

#[test]
fn dealloc_refuses_what_is_not_a_run_of_allocated_pages() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    alloc.alloc_gref(BOB, 0, &mut [GrantRef(0); 4]).unwrap();
    let cases =
        [(0, 0), (1, 1), (0, 5), (4 * PAGE, 1), (3 * PAGE, 2), (u64::MAX - 4095, 1), (0, u32::MAX)];
    for (index, count) in cases {
        assert_eq!(errno(alloc.dealloc_gref(index, count)), Errno::EINVAL, "{index} {count}");
    }
    alloc.dealloc_gref(PAGE, 2).expect("any run, of one allocation or of several");
    assert_eq!(errno(alloc.dealloc_gref(PAGE, 1)), Errno::EINVAL, "gone already");
    let other = pair.alice.gntalloc.open().unwrap();
    assert_eq!(errno(other.dealloc_gref(0, 1)), Errno::EINVAL, "an index of another handle");
    assert_eq!(pair.alice.table.in_use(), 2);
}

#[test]
fn a_page_mapped_locally_outlives_its_dealloc_and_its_handle() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    alloc.alloc_gref(BOB, FLAG_WRITABLE, &mut [GrantRef(0); 2]).unwrap();
    assert_eq!(errno(alloc.mmap(0, 1, false)), Errno::EINVAL, "not shared comes first");
    assert_eq!(errno(alloc.mmap(0, 3, false)), Errno::EINVAL);
    assert_eq!(errno(alloc.mmap(0, 3, true)), Errno::ENOENT);
    assert_eq!(errno(alloc.mmap(0, 0, true)), Errno::ENOENT);
    let (first, again) = (alloc.mmap(0, 2, true).unwrap(), alloc.mmap(PAGE, 1, true).unwrap());
    alloc.dealloc_gref(0, 2).unwrap();
    assert_eq!(errno(alloc.mmap(0, 1, true)), Errno::ENOENT, "unlisted");
    drop(alloc);
    assert_eq!(pair.alice.table.in_use(), 2);
    drop(first);
    assert_eq!(pair.alice.table.in_use(), 1);
    drop(again);
    pair.assert_clean();
}

#[test]
fn closing_a_handle_frees_what_it_allocated_and_parks_what_the_peer_maps() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    let mut grefs = [GrantRef(0); 3];
    alloc.alloc_gref(BOB, FLAG_WRITABLE, &mut grefs).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&[claim(ALICE, grefs[1].0)]).unwrap().map::<ReadWrite>().unwrap();
    drop(alloc);
    assert_eq!((pair.alice.table.in_use(), pair.alice.gntalloc.parked()), (1, 1));
    drop((mapping, bob));
    assert_eq!(pair.alice.gntalloc.reap(1), 1);
    pair.assert_clean();
}

#[test]
fn reserving_checks_nothing_but_the_number_of_references() {
    let pair = pair();
    let bob = pair.bob.gntdev.open().unwrap();
    assert_eq!(errno(bob.map_grant_ref(&[])), Errno::EINVAL);
    let before = pair.bob.xen.counters().hypercalls();
    let grants = [claim(9, 1), claim(0x7FFF, u32::MAX), claim(9, 1)];
    assert!(bob.map_grant_ref(&grants).is_ok(), "any domid, any reference, repeated");
    assert_eq!(pair.bob.xen.counters().hypercalls(), before);
}

#[test]
fn a_wrong_domid_is_found_out_at_map() {
    let pair = pair();
    let bob = pair.bob.gntdev.open().unwrap();
    for wrong in [77, 0x7FF0, 0x7FFF] {
        let index = bob.map_grant_ref(&[claim(wrong, 8)]).unwrap();
        let error = map::<ReadWrite, _>(&bob, index, 1).unwrap_err();
        assert_eq!((error.errno(), error.status()), (Errno::EINVAL, Some(GrantStatus::BAD_DOMAIN)));
    }
}

#[test]
fn a_full_index_space_is_enomem_and_the_limit_is_each_handles_own() {
    let pair = pair();
    pair.bob.gntdev.set_limit(4).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    bob.map_grant_ref(&[claim(ALICE, 8); 3]).unwrap();
    assert_eq!(errno(bob.map_grant_ref(&[claim(ALICE, 8); 2])), Errno::ENOMEM);
    bob.map_grant_ref(&[claim(ALICE, 8)]).unwrap();
    let other = pair.bob.gntdev.open().unwrap();
    other.map_grant_ref(&[claim(ALICE, 8); 4]).unwrap();
    assert_eq!(errno(pair.bob.gntdev.set_limit(0).map(|()| 0)), Errno::EINVAL);
}

#[test]
fn set_max_grants_changes_the_limit_until_something_is_reserved() {
    let pair = pair();
    let bob = pair.bob.gntdev.open().unwrap();
    bob.set_max_grants(2).unwrap();
    assert_eq!(errno(bob.map_grant_ref(&[claim(ALICE, 8); 3])), Errno::ENOMEM);
    bob.set_max_grants(100_000).unwrap();
    assert_eq!(errno(bob.set_max_grants(0)), Errno::EINVAL);
    let index = bob.map_grant_ref(&[claim(ALICE, 8); 3]).unwrap();
    assert_eq!(errno(bob.set_max_grants(5)), Errno::EBUSY);
    bob.unmap_grant_ref(index, 3).unwrap();
    bob.set_max_grants(5).unwrap();
}

#[test]
fn mmap_finds_its_errors_in_the_seeds_order() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 3, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    bob.set_max_grants(8).unwrap();
    let index = bob.map_grant_ref(&offer(ALICE, &export)).unwrap();
    let private = |index, count| errno(bob.mmap::<ReadWrite>(index, count, false));
    // Length and bounds, even when everything else is wrong too.
    for (index, count) in
        [(index, 0), (0, 9), (8 * PAGE, 1), (PAGE / 2, 1), (0, u32::MAX), (u64::MAX, 1)]
    {
        assert_eq!(private(index, count), Errno::ENXIO, "{index} {count}");
    }
    // Then private and writable, even when nothing is reserved there.
    assert_eq!(private(5 * PAGE, 1), Errno::EINVAL);
    assert!(bob.mmap::<ReadOnly>(index, 1, false).is_ok(), "private and read-only may be");
    // Then what is not reserved, or mapped already.
    assert_eq!(errno(map::<ReadWrite, _>(&bob, index + 2 * PAGE, 2)), Errno::EINVAL);
    let mapping = map::<ReadWrite, _>(&bob, index + PAGE, 1).unwrap();
    assert_eq!(errno(map::<ReadOnly, _>(&bob, index, 3)), Errno::EINVAL);
    drop(mapping);
    assert!(map::<ReadOnly, _>(&bob, index, 3).is_ok(), "again after munmap");
}

#[test]
fn any_run_of_reserved_pages_can_be_mapped_part_of_one_reservation_or_across_several() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 6, Access::ReadWrite).unwrap();
    let grants = offer(ALICE, &export);
    let bob = pair.bob.gntdev.open().unwrap();
    let first = bob.map_grant_ref(&grants[..3]).unwrap();
    let second = bob.map_grant_ref(&grants[3..]).unwrap();
    assert_eq!(second, first + 3 * PAGE);
    let across = map::<ReadWrite, _>(&bob, first + PAGE, 4).unwrap();
    assert_eq!(across.grants().collect::<Vec<_>>(), grants[1..5]);
    let part = map::<ReadOnly, _>(&bob, first, 1).unwrap();
    assert_eq!(part.addr() + 4096, across.addr());
}

#[test]
fn removing_says_what_the_first_page_that_cannot_be_removed_is() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 4, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let index = bob.map_grant_ref(&offer(ALICE, &export)).unwrap();
    assert_eq!(bob.unmap_grant_ref(index, 0), Ok(()), "nothing to do");
    assert_eq!(bob.unmap_grant_ref(u64::MAX, 0), Ok(()));
    let mapping = map::<ReadWrite, _>(&bob, index + PAGE, 2).unwrap();
    assert_eq!(errno(bob.unmap_grant_ref(index, 4)), Errno::EBUSY);
    assert_eq!(errno(bob.unmap_grant_ref(index, 5)), Errno::EBUSY, "the first that can't decides");
    assert_eq!(errno(bob.unmap_grant_ref(index + 3 * PAGE, 2)), Errno::EINVAL);
    assert_eq!(errno(bob.unmap_grant_ref(index, u32::MAX)), Errno::EINVAL);
    assert_eq!(errno(bob.unmap_grant_ref(index + 1, 1)), Errno::EINVAL);
    assert_eq!(errno(bob.unmap_grant_ref(u64::MAX - 4095, 2)), Errno::EINVAL);
    assert_eq!(bob.usage().reserved, 4, "nothing changed");
    bob.unmap_grant_ref(index, 1).expect("part of a reservation");
    assert_eq!(errno(bob.unmap_grant_ref(index, 1)), Errno::EINVAL, "gone already");
    drop(mapping);
    bob.unmap_grant_ref(index + PAGE, 3).unwrap();
    assert_eq!(bob.usage().reserved, 0);
}

#[test]
fn a_reservation_that_lost_a_page_by_its_index_cannot_be_mapped_any_more() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 3, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let reservation = bob.insert(&offer(ALICE, &export)).unwrap();
    bob.unmap_grant_ref(reservation.index() + PAGE, 1).unwrap();
    // Somebody else's reservation in the same place doesn't heal it, nor is it removed with it.
    let other = bob.insert(&offer(ALICE, &export)[..1]).unwrap();
    assert_eq!(other.index(), reservation.index() + PAGE);
    let failed = reservation.map::<ReadWrite>().unwrap_err();
    assert_eq!(failed.error.errno(), Errno::EINVAL);
    drop(failed);
    assert_eq!(bob.usage().reserved, 1);
    drop(other.map::<ReadWrite>().unwrap());
    assert_eq!(bob.usage().reserved, 0);
}

#[test]
fn the_offset_of_an_address_is_told_at_the_start_of_a_mapping_only() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 4, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let index = bob.map_grant_ref(&offer(ALICE, &export)).unwrap();
    let mapping = map::<ReadWrite, _>(&bob, index + PAGE, 3).unwrap();
    let addr = mapping.addr();
    assert_eq!(bob.get_offset_for_vaddr(addr), Ok((index + PAGE, 3)));
    for inside in [addr + 1, addr + 4096, addr + 3 * 4096 - 1] {
        assert_eq!(errno(bob.get_offset_for_vaddr(inside)), Errno::EINVAL);
    }
    for outside in [0, addr - 1, addr + 3 * 4096, usize::MAX] {
        assert_eq!(errno(bob.get_offset_for_vaddr(outside)), Errno::EFAULT);
    }
    let other = pair.bob.gntdev.open().unwrap();
    assert_eq!(errno(other.get_offset_for_vaddr(addr)), Errno::EINVAL, "another handle's");
    assert_eq!(errno(other.get_offset_for_vaddr(addr - 1)), Errno::EFAULT);
    drop(mapping);
    assert_eq!(errno(bob.get_offset_for_vaddr(addr)), Errno::EFAULT);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn without_a_maptrack_entry_mapping_is_enomem_and_one_unmapped_page_serves_again() {
    let config = Config { max_maptrack_frames: 1, ..Config::default() };
    let pair = pair_of(Config::default(), config);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 256, Access::ReadWrite).unwrap();
    let grants = offer(ALICE, &export);
    let bob = pair.bob.gntdev.open().unwrap();
    let failed = bob.insert(&grants).unwrap().map::<ReadWrite>().unwrap_err();
    assert_eq!(failed.error.errno(), Errno::ENOMEM);
    assert_eq!(failed.error.status(), Some(GrantStatus::NO_SPACE));
    drop(failed);
    let all = bob.insert(&grants[..255]).unwrap().map::<ReadWrite>().expect("Xen keeps one back");
    drop(all);
    assert!(export.end().is_ok());
}

#[test]
fn notify_on_gntdev_finds_action_port_index_and_byte_in_this_order() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 1, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let port = PortNumber(99);
    let set = |index, action| bob.set_unmap_notify(index, UnmapNotify { action, port });
    assert_eq!(errno(set(0, 4 | SEND_EVENT | CLEAR_BYTE)), Errno::EINVAL, "unknown action");
    assert_eq!(errno(set(0, SEND_EVENT | CLEAR_BYTE)), Errno::EINVAL, "port not open");
    assert_eq!(errno(set(0, CLEAR_BYTE)), Errno::ENOENT, "nothing reserved");
    assert_eq!(errno(set(u64::MAX, CLEAR_BYTE)), Errno::ENOENT);
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadOnly>().unwrap();
    assert_eq!(errno(set(mapping.index(), CLEAR_BYTE)), Errno::EINVAL, "read-only");
    assert_eq!(set(mapping.index(), 0), Ok(()));
}

#[test]
fn notify_on_gntalloc_finds_index_action_and_port_in_this_order() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    let port = PortNumber(99);
    let set = |index, action| alloc.set_unmap_notify(index, UnmapNotify { action, port });
    assert_eq!(errno(set(0, 4 | SEND_EVENT)), Errno::ENOENT, "no page");
    alloc.alloc_gref(BOB, 0, &mut [GrantRef(0)]).unwrap();
    assert_eq!(errno(set(0, 4)), Errno::EINVAL, "unknown action");
    assert_eq!(errno(set(0, SEND_EVENT)), Errno::EINVAL, "port not open");
    assert_eq!(set(4095, CLEAR_BYTE), Ok(()));
    assert_eq!(errno(set(4096, CLEAR_BYTE)), Errno::ENOENT);
}

#[test]
fn a_limit_of_4_billion_pages_does_not_wrap() {
    let pair = pair();
    pair.alice.gntalloc.set_limit(u32::MAX);
    let alloc = pair.alice.gntalloc.open().unwrap();
    for charged in 0..3 {
        let error = alloc.alloc(domid(BOB), u32::MAX - charged, Access::ReadWrite).unwrap_err();
        assert_eq!(error.errno(), Errno::ENOSPC, "with {charged} pages charged");
        assert_eq!(pair.alice.table.in_use(), charged);
        alloc.alloc_gref(BOB, 0, &mut [GrantRef(0)]).unwrap();
    }
}

#[test]
fn count_0_succeeds_even_beyond_a_lowered_limit() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    alloc.alloc_gref(BOB, 0, &mut [GrantRef(0); 3]).unwrap();
    pair.alice.gntalloc.set_limit(1);
    assert_eq!(pair.alice.gntalloc.limit(), 1);
    assert_eq!(alloc.alloc_gref(BOB, 0, &mut []), Ok(3 * PAGE));
    assert_eq!(errno(alloc.alloc_gref(BOB, 0, &mut [GrantRef(0)])), Errno::ENOSPC);
}

#[test]
fn a_mapping_across_allocations_with_another_files_between_touches_its_own_pages_only() {
    let pair = pair();
    let (ours, theirs) = (pair.alice.gntalloc.open().unwrap(), pair.alice.gntalloc.open().unwrap());
    ours.alloc_gref(BOB, 0, &mut [GrantRef(0)]).unwrap();
    theirs.alloc_gref(BOB, 0, &mut [GrantRef(0)]).unwrap();
    ours.alloc_gref(BOB, 0, &mut [GrantRef(0)]).unwrap();
    let mapping = ours.mmap(0, 2, true).unwrap();
    assert_eq!(mapping.pages(), 2);
    theirs.dealloc_gref(0, 1).unwrap();
    assert_eq!(pair.alice.table.in_use(), 2, "nobody else used theirs");
    ours.dealloc_gref(0, 2).unwrap();
    assert_eq!(pair.alice.table.in_use(), 2);
    mapping.write(4090, b"across both").unwrap();
    let mut seen = [0; 11];
    mapping.read(4090, &mut seen).unwrap();
    assert_eq!(&seen, b"across both");
    mapping.store_u32(8188, 5).unwrap();
    assert_eq!(mapping.load_u32(8188), Ok(5));
    assert_eq!(errno(mapping.load_u32(8192)), Errno::EINVAL);
    assert_eq!(errno(mapping.store_u32(2, 0)), Errno::EINVAL);
    drop(mapping);
    pair.assert_clean();
}

#[test]
fn a_handles_number_serves_again_and_brings_nothing_along() {
    let pair = pair();
    for _ in 0..3 {
        let alloc = pair.alice.gntalloc.open().unwrap();
        let other = alloc.clone();
        assert_eq!(alloc.alloc_gref(BOB, 0, &mut [GrantRef(0); 2]), Ok(0), "an index space anew");
        drop(alloc);
        assert_eq!(pair.alice.table.in_use(), 2, "a clone keeps it open");
        assert_eq!(other.alloc_gref(BOB, 0, &mut [GrantRef(0)]), Ok(2 * PAGE));
        drop(other);
        assert_eq!(pair.alice.table.in_use(), 0);
        let bob = pair.bob.gntdev.open().unwrap();
        let other = bob.clone();
        bob.map_grant_ref(&[claim(ALICE, 8); 3]).unwrap();
        drop(bob);
        assert_eq!(other.usage().reserved, 3);
        assert_eq!(errno(other.set_max_grants(9)), Errno::EBUSY);
        drop(other);
        assert_eq!(pair.bob.gntdev.usage().reserved, 0);
    }
    pair.assert_clean();
}

#[test]
fn what_an_object_says_of_itself_is_so() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 3, Access::ReadOnly).unwrap();
    assert_eq!((export.peer(), export.pages(), export.access()), (domid(BOB), 3, Access::ReadOnly));
    assert_eq!(export.size(), 3 * 4096);
    let bob = pair.bob.gntdev.open().unwrap();
    let first = bob.insert(&offer(ALICE, &export)[..1]).unwrap();
    let reservation = bob.insert(&offer(ALICE, &export)).unwrap();
    assert_eq!((reservation.index(), reservation.pages()), (PAGE, 3));
    let mapping = reservation.map::<ReadOnly>().unwrap();
    assert_eq!((mapping.index(), mapping.pages(), mapping.size()), (PAGE, 3, 3 * 4096));
    let mapped = first.map::<ReadOnly>().unwrap();
    assert_eq!(mapping.addr(), mapped.addr() + 4096);
    assert_eq!(pair.bob.gntdev.limit(), 65_536);
    assert_eq!(mapping.probe_write(3 * 4096, 0).unwrap_err().errno(), Errno::EINVAL);
}

#[test]
fn a_view_is_a_window_of_its_own_and_ends_where_it_was_cut() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    let export = alloc.alloc(domid(BOB), 2, Access::ReadWrite).unwrap();
    let view = export.view(4000, 200).unwrap();
    assert_eq!((view.len(), view.is_empty()), (200, false));
    assert!(export.view(8192, 0).unwrap().is_empty());
    view.write(90, b"over the edge").unwrap();
    let mut seen = [0; 13];
    export.read(4090, &mut seen).unwrap();
    assert_eq!(&seen, b"over the edge");
    view.read(90, &mut seen).unwrap();
    assert_eq!(&seen, b"over the edge");
    assert_eq!(errno(view.read(188, &mut seen)), Errno::EINVAL);
    assert_eq!(errno(view.write(200, b"X")), Errno::EINVAL);
    assert_eq!(errno(view.read(usize::MAX, &mut seen)), Errno::EINVAL);
    assert_eq!(errno(export.view(8000, 193)), Errno::EINVAL);
}

#[test]
fn indices_that_found_no_memory_for_their_page_tables_are_free_again() {
    let pair = pair();
    let bob = pair.bob.gntdev.open().unwrap();
    bob.set_max_grants(4).unwrap();
    pair.bob.xen.fail_page_after(0);
    assert_eq!(errno(bob.map_grant_ref(&[claim(ALICE, 8); 3])), Errno::ENOMEM);
    assert_eq!(bob.map_grant_ref(&[claim(ALICE, 8); 4]), Ok(0));
}

#[test]
fn a_word_of_a_shared_page_is_loaded_and_stored_whole() {
    let pair = pair();
    let export = pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite);
    let export = export.unwrap();
    export.store_u32(4096, 0x0403_0201).unwrap();
    let mut bytes = [0; 6];
    export.read(4095, &mut bytes).unwrap();
    assert_eq!(bytes, [0, 1, 2, 3, 4, 0]);
    assert_eq!(export.load_u32(4096), Ok(0x0403_0201));
    for offset in [2, 8192, usize::MAX - 3] {
        assert_eq!(errno(export.load_u32(offset)), Errno::EINVAL, "{offset}");
        assert_eq!(errno(export.store_u32(offset, 1)), Errno::EINVAL, "{offset}");
    }
}
