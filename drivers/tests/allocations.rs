//! The heap: the hot paths ask it for nothing, every call survives its refusal, and what a call
//! costs does not grow with what is live.

mod common;

use std::future::Future;
use std::sync::atomic::Ordering;

use common::{ALICE, BOB, domid};
use drivers::buffer::Buffer;
use drivers::gntalloc::Export;
use drivers::gntdev::{CopyEnd, ReadWrite, Segment};
use drivers::notify::{CLEAR_BYTE, NotifyRequest, UnmapNotify};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, ClaimedGrant, Errno, Error, GrantRef, Index, Pages, PortNumber};
use fake_xen::heap::{self, Heap};
use fake_xen::{Config, FakeXen, Pair};
use linux::abi::{gntalloc, gntdev};
use linux::ioctl::{GntallocFile, GntdevFile};
use linux::libxen::{Gntshr, Gnttab};

#[global_allocator]
static HEAP: Heap = Heap;

#[test]
fn the_count_counts() {
    assert_eq!(heap::requests(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn map_unmap_read_write_send_receive_and_end_allocate_nothing() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 100);
    let mut export = Some(export);
    let grants = pair.alice.offer(export.as_ref().unwrap());
    let mut reservation = Some(pair.bob.gntdev.open().unwrap().reserve(&grants).unwrap());
    let (alice, bob) = pair.alice.channel(&pair.bob);
    let count = heap::requests(|| {
        let mapping = reservation.take().unwrap().map::<ReadWrite>().unwrap();
        mapping.write(4000, &[1; 200]).unwrap();
        mapping.read(4000, &mut [0; 200]).unwrap();
        bob.send().unwrap();
        let waker = std::task::Waker::noop();
        let mut wait = std::pin::pin!(alice.wait());
        let mut cx = std::task::Context::from_waker(waker);
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        pair.alice.events.dispatch();
        assert!(wait.as_mut().poll(&mut cx).is_ready());
        assert_eq!(export.take().unwrap().release(), Pages(100));
        reservation = Some(mapping.unmap().unwrap());
        assert_eq!(pair.alice.gntalloc.reap(200), 100);
    });
    assert_eq!(count, 0);
}

#[test]
#[cfg_attr(miri, ignore = "thousands of pages take long")]
fn shares_that_come_and_go_ask_the_heap_for_the_same_every_time() {
    for pages in [64, 100, 112, 300] {
        let pair = Pair::new();
        let alice = pair.alice.gntalloc.open();
        let share = || {
            heap::requests(|| {
                drop(alice.alloc(domid(BOB), Pages(pages), Access::ReadWrite).unwrap())
            })
        };
        let (_, second) = (share(), share());
        for cycle in 3..50 {
            assert_eq!(share(), second, "{pages} pages, cycle {cycle}");
        }
    }
}

/// A byte to clear, by its index.
const CLEAR: NotifyRequest = NotifyRequest { action: CLEAR_BYTE, port: PortNumber(0) };
/// More pages than the table has room for at first.
const PAGES: usize = if cfg!(miri) { 3 } else { 600 };

/// Runs `scenario` with its first request to the heap refused, then its second, until it needs no
/// more; how many that were. After each it must work, and in the end leave nothing.
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

fn claims<const N: usize>(export: &Export<FakeXen>) -> [ClaimedGrant; N] {
    let mut grefs = export.grefs();
    std::array::from_fn(|_| domid(ALICE).grant(grefs.next().unwrap()))
}

#[test]
fn without_memory_every_call_of_the_typed_face_is_enomem_and_leaves_nothing() {
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
fn without_memory_every_call_of_the_other_faces_is_enomem_and_leaves_nothing() {
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
        file.ioctl(gntalloc::IOCTL_GNTALLOC_ALLOC_GREF, &mut arg)?;
        file.mmap(4096, 3, 1, 0)?;
        let dev = GntdevFile::open(&pair.bob.gntdev)?;
        let mut map = [0; 32];
        (map[0], map[16], map[24]) = (2, ALICE as u8, ALICE as u8);
        map[20..24].copy_from_slice(&arg[16..20]);
        map[28..].copy_from_slice(&arg[20..24]);
        dev.ioctl(gntdev::IOCTL_GNTDEV_MAP_GRANT_REF, &mut map)?;
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
        dev.ioctl(gntdev::IOCTL_GNTDEV_GRANT_COPY, &mut copy)
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

/// What an operation costs that can be counted: requests to Xen and what they carry, bytes, and
/// requests to the heap.
fn cost(pair: &Pair, run: impl FnOnce()) -> [u64; 6] {
    let sum = || {
        let (alice, bob) = (pair.alice.system.counters(), pair.bob.system.counters());
        let bytes = |counters: &drivers::Counters| {
            [&counters.zeroed, &counters.copied].map(|count| count.load(Ordering::Relaxed))
        };
        let (a, b) = (bytes(alice), bytes(bob));
        let looks = pair.alice.xen.entry_looks() + pair.bob.xen.entry_looks();
        [
            alice.hypercalls() + bob.hypercalls(),
            a[0] + b[0],
            a[1] + b[1],
            looks,
            pair.bob.xen.batched(),
        ]
    };
    let before = sum();
    let heap = u64::from(heap::requests(run));
    let after = sum();
    let [calls, zeroed, copied, looks, batched] = std::array::from_fn(|i| after[i] - before[i]);
    [calls, zeroed, copied, looks, batched, heap]
}

#[test]
#[cfg_attr(miri, ignore = "ten thousand mappings take long")]
fn what_an_operation_costs_does_not_depend_on_how_much_is_live() {
    let costs = [10, 10_000].map(|live| {
        let config = Config {
            pages: 11_000,
            max_grant_frames: 32,
            max_maptrack_frames: 64,
            ..Config::default()
        };
        let pair = Pair::of(config, config);
        pair.alice.gntalloc.set_limit(20_000);
        let alice = pair.alice.gntalloc.open();
        let bob = pair.bob.gntdev.open().unwrap();
        // Room has been made for all of them once, so that what is counted is not a table's growth.
        drop(bob.reserve(&vec![ClaimedGrant::new(ALICE, 8); 10_500]).unwrap());
        let export = alice.alloc(domid(BOB), Pages(live), Access::ReadWrite).unwrap();
        drop(alice.alloc(domid(BOB), Pages(10_500 - live), Access::ReadWrite).unwrap());
        let _all = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
        let (mut mine, mut reserved, mut mapped) = (None, None, None);
        let granted = cost(&pair, || {
            mine = Some(alice.alloc(domid(BOB), Pages(7), Access::ReadWrite).unwrap());
        });
        let grants: [_; 7] = claims(mine.as_ref().unwrap());
        let inserted = cost(&pair, || reserved = Some(bob.reserve(&grants).unwrap()));
        let map = cost(&pair, || {
            mapped = Some(reserved.take().unwrap().map::<ReadWrite>().unwrap());
        });
        let unmap = cost(&pair, || reserved = Some(mapped.take().unwrap().unmap().unwrap()));
        let removed = cost(&pair, || reserved = None);
        let ended = cost(&pair, || mine.take().unwrap().end().unwrap());
        [granted, inserted, map, unmap, removed, ended]
    });
    assert_eq!(costs[0], costs[1]);
    let [_, _, [map, .., mapped, _], [unmap, .., unmapped, _], ..] = costs[0];
    assert_eq!([map, mapped, unmap, unmapped], [1, 7, 1, 7]);
}
