// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory: every call survives the failure of any one allocation, and leaves nothing.

mod common;

use common::{ALICE, BOB, bytes, claims, domid};
use drivers::buffer::Buffer;
use drivers::gntalloc::{self, Export};
use drivers::gntdev::{self, CopyEnd, Mapping, ReadWrite, Reservation, Segment};
use drivers::notify::{CLEAR_BYTE, NotifyRequest, UnmapNotify};
use drivers::shared::SharedMut;
use drivers::{Access, ClaimedGrant, Errno, Error, GrantRef, Index, Pages, PortNumber};
use fake_xen::heap::{self, Heap};
use fake_xen::{FakeXen, Pair};
use linux::abi;
use linux::ioctl::{GntallocFile, GntdevFile};
use linux::libxen::{Gntshr, Gnttab};

#[global_allocator]
static HEAP: Heap = Heap;

/// Clears the byte that the index selects.
const CLEAR: NotifyRequest = NotifyRequest { action: CLEAR_BYTE, port: PortNumber(0) };
/// More pages than the table has room for at first.
const PAGES: usize = if cfg!(miri) { 4 } else { 600 };

/// Runs `scenario` with its first allocation refused, then its second, until it makes no more.
/// Returns how many it makes. After each failure the scenario must succeed, and leave nothing.
fn refuse_each(scenario: impl Fn(&Pair) -> Result<(), Error>) -> u32 {
    for refused in 0.. {
        let pair = Pair::new();
        let (result, was_refused) = heap::refuse(refused, || scenario(&pair));
        if !was_refused {
            result.expect("nothing was refused");
            return refused;
        }
        let error = result.expect_err("a request was refused");
        assert_eq!(error.errno(), Errno::ENOMEM, "request {refused}: {error}");
        pair.alice.gntalloc.reap(u32::MAX);
        pair.assert_clean();
        scenario(&pair).unwrap_or_else(|error| panic!("usable after request {refused}: {error}"));
        pair.alice.gntalloc.reap(u32::MAX);
        pair.assert_clean();
    }
    unreachable!()
}

#[test]
fn without_memory_every_call_of_the_typed_api_is_enomem_and_leaves_nothing() {
    let refused = refuse_each(|pair| {
        let alice_port = pair.alice.events.alloc_unbound(domid(BOB))?;
        let bob_port = pair.bob.events.bind_interdomain(domid(ALICE), alice_port.number())?;
        let mut export =
            pair.alice.gntalloc.open().alloc(domid(BOB), Pages(5), Access::ReadWrite)?;
        export.set_notify(UnmapNotify::clear_byte(4096).and_event(&alice_port))?;
        let bob = pair.bob.gntdev.open()?;
        let grants: [_; 5] = claims(&export);
        let mut reservation = bob.reserve(&grants)?;
        reservation.set_notify(UnmapNotify::clear_byte(0).and_event(&bob_port))?;
        let mut mapping = reservation.map::<ReadWrite>()?;
        mapping.set_notify(UnmapNotify::event(&bob_port))?;
        mapping.write(4000, &[1; 200])?;
        drop(export);
        let reservation = mapping.unmap()?;
        let mapping = reservation.map::<ReadWrite>();
        assert!(mapping.is_ok(), "the pages are parked, and live");
        Ok(())
    });
    assert!(refused > 6, "{refused} requests");
}

#[test]
fn without_memory_every_call_by_index_is_enomem_and_leaves_nothing() {
    let refused = refuse_each(|pair| {
        let alice = pair.alice.gntalloc.open_indexed()?;
        let mut grefs = [GrantRef(0); PAGES];
        let index = alice.alloc_gref(BOB, 1, &mut grefs)?;
        let local = alice.mmap(index, Pages(PAGES as u32), true)?;
        alice.dealloc_gref(index, Pages(PAGES as u32))?;
        let bob = pair.bob.gntdev.open_indexed()?;
        bob.set_max_grants(100)?;
        let grants = [domid(ALICE).grant(grefs[PAGES - 1]); 7];
        let index = bob.map_grant_ref(&grants)?;
        let buffer = Buffer::new(&pair.bob.system, Pages(3))?;
        let dest = CopyEnd::Buffer(&buffer, 4095);
        bob.grant_copy(&mut [Segment::new(CopyEnd::Grant(grants[0], 0), dest, 4096)])?;
        let addr = bob.mmap(index, Pages(7), true, Access::ReadWrite)?;
        bob.set_unmap_notify(Index(index.0 + 5), CLEAR)?;
        bob.munmap(addr, Pages(7))?;
        drop(local);
        bob.unmap_grant_ref(index, Pages(7))
    });
    assert!(refused > 6, "{refused} requests");
}

#[test]
fn without_memory_every_call_of_the_other_apis_is_enomem_and_leaves_nothing() {
    let refused = refuse_each(|pair| {
        let mut shr = Gntshr::open(&pair.alice.gntalloc)?;
        let mut tab = Gnttab::open(&pair.bob.gntdev)?;
        let mut grefs = [GrantRef(0); 3];
        let shared = shr.share_pages(BOB, &mut grefs, true)?;
        let one = shr.share_page_notify(BOB, true, 5, None)?.0;
        let mapped = tab.map_domain_grant_refs(ALICE, &grefs.map(|gref| gref.0), 3)?;
        let other = tab.map_grant_ref_notify(ALICE, grefs[0].0, 3, 9, None)?;
        tab.unmap(mapped, 3)?;
        tab.unmap(other, 1)?;
        shr.unshare(shared, 3)?;
        shr.unshare(one, 1)?;
        let mut file = GntallocFile::open(&pair.alice.gntalloc)?;
        let mut arg = [0; 28];
        (arg[0], arg[2], arg[4]) = (BOB as u8, 1, 3);
        file.ioctl(abi::gntalloc::IOCTL_GNTALLOC_ALLOC_GREF, &mut arg)?;
        file.mmap(4096, 3, 1, 0)?;
        let dev = GntdevFile::open(&pair.bob.gntdev)?;
        let mut map = [0; 32];
        (map[0], map[16], map[24]) = (2, ALICE as u8, ALICE as u8);
        map[20..24].copy_from_slice(&arg[16..20]);
        map[28..].copy_from_slice(&arg[20..24]);
        dev.ioctl(abi::gntdev::IOCTL_GNTDEV_MAP_GRANT_REF, &mut map)?;
        let addr = dev.mmap(8192, 3, 1, 0)?;
        // One segment: from the first page's grant to the second page.
        let mut segment = [0; 24];
        segment[..4].copy_from_slice(&arg[16..20]);
        segment[6] = ALICE as u8;
        segment[8..16].copy_from_slice(&(addr as u64 + 4096).to_ne_bytes());
        (segment[16], segment[18]) = (8, 1);
        dev.write(addr, &segment)?;
        let mut copy = [0; 16];
        copy[0] = 1;
        copy[8..].copy_from_slice(&(addr as u64).to_ne_bytes());
        dev.ioctl(abi::gntdev::IOCTL_GNTDEV_GRANT_COPY, &mut copy)
    });
    assert!(refused > 12, "{refused} requests");
}

#[test]
fn without_a_frame_or_a_page_table_every_call_is_enomem_and_leaves_nothing() {
    for refused in 0..9 {
        let pair = Pair::new();
        let scenario = || {
            let export =
                pair.alice.gntalloc.open().alloc(domid(BOB), Pages(4), Access::ReadWrite)?;
            let buffer = Buffer::new(&pair.bob.system, Pages(4))?;
            let bob = pair.bob.gntdev.open()?;
            let reservation = bob.reserve(&claims::<4>(&export))?;
            drop((reservation, buffer));
            Ok(())
        };
        pair.alice.xen.fail_page_after(refused);
        pair.bob.xen.fail_page_after(refused);
        let result: Result<(), Error> = scenario();
        assert_eq!(result.map_err(|error| error.errno()).is_err(), refused < 5, "{refused}");
        pair.assert_clean();
    }
}

/// One of everything, live.
struct Live {
    export: Export<FakeXen>,
    mapping: Mapping<FakeXen, ReadWrite>,
    _reserved: Reservation<FakeXen>,
    granter: gntalloc::IndexDevice<FakeXen>,
    mapper: gntdev::IndexDevice<FakeXen>,
    addr: usize,
}

/// Creates one of everything, with more pages than the grant table has entries at first.
fn one_of_everything(pair: &Pair) -> Result<Live, Error> {
    let (alice_port, bob_port) = {
        let ours = pair.alice.events.alloc_unbound(domid(BOB))?;
        let theirs = pair.bob.events.bind_interdomain(domid(ALICE), ours.number())?;
        (ours, theirs)
    };
    let granter = pair.alice.gntalloc.open();
    let mut export = granter.alloc(domid(BOB), Pages(PAGES as u32 / 2), Access::ReadWrite)?;
    export.set_notify(UnmapNotify::clear_byte(4096).and_event(&alice_port))?;
    let mapper = pair.bob.gntdev.open()?;
    let grants = claims::<2>(&export);
    let mut mapping = mapper.reserve(&grants)?.map::<ReadWrite>()?;
    mapping.set_notify(UnmapNotify::clear_byte(5).and_event(&bob_port))?;
    let reserved = mapper.clone().reserve(&grants)?;
    let granter = pair.alice.gntalloc.open_indexed()?;
    granter.alloc_gref(BOB, 1, &mut [GrantRef(0); 2])?;
    granter.set_unmap_notify(Index(5), CLEAR)?;
    let mapper = pair.bob.gntdev.open_indexed()?;
    let addr = mapper.map_grants(&grants, Access::ReadWrite, UnmapNotify::event(&bob_port))?;
    Ok(Live { export, mapping, _reserved: reserved, granter, mapper, addr })
}

#[test]
fn without_memory_for_the_second_of_everything_the_first_lives_on() {
    for refused in 0.. {
        let pair = Pair::new();
        let first = one_of_everything(&pair).expect("nothing was refused");
        let usage = pair.bob.gntdev.usage();
        let (result, was_refused) = heap::refuse(refused, || one_of_everything(&pair).map(drop));
        if was_refused {
            let error = result.expect_err("a request was refused");
            assert_eq!(error.errno(), Errno::ENOMEM, "request {refused}: {error}");
        } else {
            result.expect("nothing was refused");
        }
        pair.alice.gntalloc.reap(u32::MAX);
        assert_eq!(pair.bob.gntdev.usage(), usage, "request {refused}");
        assert_eq!(pair.alice.gntalloc.in_use() as usize, PAGES / 2 + 2);
        first.export.write(4000, b"lives").unwrap();
        assert_eq!(&bytes(&first.mapping, 4000), b"lives");
        first.mapper.write(first.addr + 4000, b"again").unwrap();
        assert_eq!(&bytes(&first.export, 4000), b"again");
        first.granter.dealloc_gref(Index(0), Pages(2)).unwrap();
        drop(first);
        pair.alice.gntalloc.reap(u32::MAX);
        pair.assert_clean();
        if !was_refused {
            assert!(refused > 6, "{refused} requests");
            return;
        }
    }
}

#[test]
fn after_a_reservation_without_memory_no_address_is_a_mapping() {
    for refused in 0..8 {
        let pair = Pair::new();
        let device = pair.bob.gntdev.open_indexed().unwrap();
        let one = [ClaimedGrant::new(ALICE, 8)];
        device.map_grant_ref(&one).unwrap();
        let many = [ClaimedGrant::new(ALICE, 8); 64];
        let (reserved, was_refused) = heap::refuse(refused, || device.map_grant_ref(&many));
        assert_eq!(reserved.is_err(), was_refused);
        // A mapping's address shows where the window lies.
        let page = pair.alice.share(&pair.bob, 1);
        let index = device.map_grant_ref(&pair.alice.offer(&page)).unwrap();
        let addr = device.mmap(index, Pages(1), true, Access::ReadWrite).unwrap();
        for page in (0..256).filter(|page| *page != 0) {
            let at = addr + page * 4096;
            assert_eq!(device.get_offset_for_vaddr(at).unwrap_err().errno(), Errno::EFAULT);
            assert_eq!(device.read(at, &mut [0]).unwrap_err().errno(), Errno::EFAULT);
        }
    }
}
