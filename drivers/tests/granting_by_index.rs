// SPDX-License-Identifier: MIT OR Apache-2.0
//! gntalloc by plain index: what each call does, and the order in which its errors are found.

mod common;

use common::{ALICE, BOB, domid, errno};
use drivers::gntalloc::{FLAG_WRITABLE, IndexDevice};
use drivers::gntdev::ReadWrite;
use drivers::notify::{CLEAR_BYTE, NotifyRequest, SEND_EVENT};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, ClaimedGrant, Errno, Error, GrantRef, Index, Pages, PortNumber};
use fake_xen::{Config, FakeXen, Guest, Pair};

fn open(guest: &Guest) -> IndexDevice<FakeXen> {
    guest.gntalloc.open_indexed().unwrap()
}

/// Returns a page's index.
fn at(page: u64) -> Index {
    Index::of_page(page)
}

/// Allocates pages that Bob may read.
fn alloc(device: &IndexDevice<FakeXen>, pages: usize) -> Result<Index, Error> {
    device.alloc_gref(BOB, 0, &mut vec![GrantRef(0); pages])
}

#[test]
fn gntalloc_refuses_a_reserved_domid_and_an_unknown_flag() {
    let pair = Pair::new();
    let device = open(&pair.alice);
    let mut grefs = [GrantRef(0)];
    for domid in [0x7FF0, 0x7FFF, 0xFFFF] {
        assert_eq!(errno(device.alloc_gref(domid, 0, &mut grefs)), Errno::EINVAL);
    }
    for flags in [2, 3, 0x8000] {
        assert_eq!(errno(device.alloc_gref(BOB, flags, &mut grefs)), Errno::EINVAL);
    }
    assert_eq!(pair.alice.gntalloc.in_use(), 0);
}

#[test]
fn gntalloc_of_no_pages_succeeds_and_uses_no_index() {
    let pair = Pair::new();
    let device = open(&pair.alice);
    assert_eq!(alloc(&device, 0), Ok(at(0)));
    assert_eq!(alloc(&device, 2), Ok(at(0)));
    assert_eq!(alloc(&device, 0), Ok(at(2)));
}

#[test]
fn gntalloc_indices_are_never_used_twice() {
    let pair = Pair::new();
    let device = open(&pair.alice);
    for round in 0..5 {
        assert_eq!(alloc(&device, 3), Ok(at(round * 3)));
        assert_eq!(device.dealloc_gref(at(round * 3), Pages(3)), Ok(()));
    }
}

#[test]
fn beyond_the_limit_is_enospc_even_when_memory_is_short_too() {
    let pair = Pair::of(Config { pages: 2, ..Config::default() }, Config::default());
    pair.alice.gntalloc.set_limit(4);
    let device = open(&pair.alice);
    assert_eq!(errno(alloc(&device, 5)), Errno::ENOSPC);
    assert_eq!(errno(alloc(&device, 3)), Errno::ENOMEM);
    assert_eq!(alloc(&device, 2), Ok(at(0)), "nothing was left behind");
}

#[test]
fn the_limit_is_one_for_all_devices() {
    let pair = Pair::new();
    pair.alice.gntalloc.set_limit(3);
    let (one, two) = (open(&pair.alice), open(&pair.alice));
    alloc(&one, 2).unwrap();
    assert_eq!(errno(alloc(&two, 2)), Errno::ENOSPC);
    let typed = pair.alice.gntalloc.open();
    assert_eq!(errno(typed.alloc(domid(BOB), Pages(2), Access::ReadOnly)), Errno::ENOSPC);
    alloc(&two, 1).unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn a_full_grant_table_is_enospc_and_a_freed_entry_is_reused() {
    let pair = Pair::of(Config { max_grant_frames: 1, ..Config::default() }, Config::default());
    let device = open(&pair.alice);
    let first = alloc(&device, 504).expect("512 less 8 reserved");
    assert_eq!(errno(alloc(&device, 1)), Errno::ENOSPC);
    device.dealloc_gref(at(first.page() + 7), Pages(1)).unwrap();
    alloc(&device, 1).expect("one entry is free again");
}

#[test]
fn dealloc_refuses_what_is_not_a_run_of_allocated_pages() {
    let pair = Pair::new();
    let device = open(&pair.alice);
    alloc(&device, 4).unwrap();
    let cases = [
        (at(0), 0),
        (Index(1), 1),
        (at(0), 5),
        (at(4), 1),
        (at(3), 2),
        (Index(u64::MAX - 4095), 1),
        (at(0), u32::MAX),
    ];
    for (index, count) in cases {
        let refused = errno(device.dealloc_gref(index, Pages(count)));
        assert_eq!(refused, Errno::EINVAL, "{index:?} {count}");
    }
    device.dealloc_gref(at(1), Pages(2)).expect("any run, of one allocation or of several");
    assert_eq!(errno(device.dealloc_gref(at(1), Pages(1))), Errno::EINVAL, "gone already");
    let other = open(&pair.alice);
    assert_eq!(errno(other.dealloc_gref(at(0), Pages(1))), Errno::EINVAL, "another device's");
    assert_eq!(pair.alice.gntalloc.in_use(), 2);
}

#[test]
fn a_page_mapped_locally_outlives_its_dealloc_and_its_device() {
    let pair = Pair::new();
    let device = open(&pair.alice);
    device.alloc_gref(BOB, FLAG_WRITABLE, &mut [GrantRef(0); 2]).unwrap();
    let mmap = |page, count, shared| device.mmap(at(page), Pages(count), shared);
    assert_eq!(errno(mmap(0, 1, false)), Errno::EINVAL, "not shared comes first");
    assert_eq!(errno(mmap(0, 3, false)), Errno::EINVAL);
    assert_eq!(errno(mmap(0, 3, true)), Errno::ENOENT);
    assert_eq!(errno(mmap(0, 0, true)), Errno::ENOENT);
    let (first, again) = (mmap(0, 2, true).unwrap(), mmap(1, 1, true).unwrap());
    device.dealloc_gref(at(0), Pages(2)).unwrap();
    assert_eq!(errno(mmap(0, 1, true)), Errno::ENOENT, "unlisted");
    drop(device);
    assert_eq!(pair.alice.gntalloc.in_use(), 2);
    drop(first);
    assert_eq!(pair.alice.gntalloc.in_use(), 1);
    drop(again);
    pair.assert_clean();
}

#[test]
fn closing_a_device_frees_what_it_allocated_and_parks_what_the_peer_maps() {
    let pair = Pair::new();
    let device = open(&pair.alice);
    let mut grefs = [GrantRef(0); 3];
    device.alloc_gref(BOB, FLAG_WRITABLE, &mut grefs).unwrap();
    let mapping = pair.bob.map::<ReadWrite>(&[ClaimedGrant::new(ALICE, grefs[1].0)]);
    drop(device);
    assert_eq!((pair.alice.gntalloc.in_use(), pair.alice.gntalloc.parked()), (1, 1));
    drop(mapping);
    assert_eq!(pair.alice.gntalloc.reap(1), 1);
    pair.assert_clean();
}

#[test]
fn notify_on_gntalloc_finds_index_action_and_port_in_this_order() {
    let pair = Pair::new();
    let device = open(&pair.alice);
    let port = PortNumber(99);
    let set = |byte, action| device.set_unmap_notify(Index(byte), NotifyRequest { action, port });
    assert_eq!(errno(set(0, 4 | SEND_EVENT)), Errno::ENOENT, "no page");
    alloc(&device, 1).unwrap();
    assert_eq!(errno(set(0, 4)), Errno::EINVAL, "unknown action");
    assert_eq!(errno(set(0, SEND_EVENT)), Errno::EINVAL, "port not open");
    assert_eq!(set(4095, CLEAR_BYTE), Ok(()));
    assert_eq!(errno(set(4096, CLEAR_BYTE)), Errno::ENOENT);
}

#[test]
fn a_limit_of_4_billion_pages_does_not_wrap() {
    let pair = Pair::new();
    pair.alice.gntalloc.set_limit(u32::MAX);
    let (typed, indexed) = (pair.alice.gntalloc.open(), open(&pair.alice));
    for charged in 0..3 {
        let all = Pages(u32::MAX - charged);
        let refused = errno(typed.alloc(domid(BOB), all, Access::ReadWrite));
        assert_eq!(refused, Errno::ENOSPC, "with {charged} pages charged");
        assert_eq!(pair.alice.gntalloc.in_use(), charged);
        alloc(&indexed, 1).unwrap();
    }
}

#[test]
fn count_0_succeeds_even_beyond_a_lowered_limit() {
    let pair = Pair::new();
    let device = open(&pair.alice);
    alloc(&device, 3).unwrap();
    pair.alice.gntalloc.set_limit(1);
    assert_eq!(pair.alice.gntalloc.limit(), 1);
    assert_eq!(alloc(&device, 0), Ok(at(3)));
    assert_eq!(errno(alloc(&device, 1)), Errno::ENOSPC);
}

#[test]
fn a_mapping_across_allocations_with_another_files_between_touches_its_own_pages_only() {
    let pair = Pair::new();
    let (ours, theirs) = (open(&pair.alice), open(&pair.alice));
    alloc(&ours, 1).unwrap();
    alloc(&theirs, 1).unwrap();
    alloc(&ours, 1).unwrap();
    let mapping = ours.mmap(at(0), Pages(2), true).unwrap();
    assert_eq!(mapping.pages(), Pages(2));
    theirs.dealloc_gref(at(0), Pages(1)).unwrap();
    assert_eq!(pair.alice.gntalloc.in_use(), 2, "nobody else used theirs");
    ours.dealloc_gref(at(0), Pages(2)).unwrap();
    assert_eq!(pair.alice.gntalloc.in_use(), 2);
    mapping.write(4090, b"across both").unwrap();
    assert_eq!(&common::bytes(&mapping, 4090), b"across both");
    mapping.store_u32(8188, 5).unwrap();
    assert_eq!(mapping.load_u32(8188), Ok(5));
    assert_eq!(errno(mapping.load_u32(8192)), Errno::EINVAL);
    assert_eq!(errno(mapping.store_u32(2, 0)), Errno::EINVAL);
    drop(mapping);
    pair.assert_clean();
}

#[test]
fn a_devices_number_is_reused_without_anything_of_the_old_device() {
    let pair = Pair::new();
    for _ in 0..3 {
        let device = open(&pair.alice);
        let other = device.clone();
        assert_eq!(alloc(&device, 2), Ok(at(0)), "a new index space");
        drop(device);
        assert_eq!(pair.alice.gntalloc.in_use(), 2, "a clone keeps it open");
        assert_eq!(alloc(&other, 1), Ok(at(2)));
        drop(other);
        assert_eq!(pair.alice.gntalloc.in_use(), 0);
        let device = pair.bob.gntdev.open_indexed().unwrap();
        let other = device.clone();
        device.map_grant_ref(&[ClaimedGrant::new(ALICE, 8); 3]).unwrap();
        drop(device);
        assert_eq!(other.usage().reserved, 3);
        assert_eq!(errno(other.set_max_grants(9)), Errno::EBUSY);
        drop(other);
        assert_eq!(pair.bob.gntdev.usage().reserved, 0);
    }
    pair.assert_clean();
}

#[test]
fn a_local_mapping_begins_at_its_own_first_page() {
    let pair = Pair::new();
    let device = open(&pair.alice);
    alloc(&device, 3).unwrap();
    let second = alloc(&device, 2).unwrap();
    let (all, ours) =
        (device.mmap(at(0), Pages(5), true), device.mmap(second, Pages(2), true).unwrap());
    let all = all.unwrap();
    assert_eq!((all.pages(), ours.pages()), (Pages(5), Pages(2)));
    let mut bytes = [1; 5 * 4096];
    for page in [0, 1] {
        ours.store_u32(page * 4096 + 8, 7).unwrap();
        all.read(0, &mut bytes).unwrap();
        assert_eq!(bytes.iter().position(|byte| *byte != 0), Some((3 + page) * 4096 + 8));
        assert_eq!(ours.load_u32(page * 4096 + 8), Ok(7));
        assert_eq!(all.load_u32((3 + page) * 4096 + 8), Ok(7));
        ours.store_u32(page * 4096 + 8, 0).unwrap();
    }
    all.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 5 * 4096]);
}
