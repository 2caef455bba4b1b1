// SPDX-License-Identifier: MIT OR Apache-2.0
//! The heap: the hot paths don't allocate, and the cost of a call doesn't grow with the number of
//! live objects.

mod common;

use std::future::Future;
use std::sync::atomic::Ordering;

use common::{ALICE, BOB, claims, domid};
use drivers::gntdev::ReadWrite;
use drivers::notify::{CLEAR_BYTE, NotifyRequest, UnmapNotify};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, ClaimedGrant, Errno, GrantRef, Index, Pages, PortNumber};
use fake_xen::heap::{self, Heap};
use fake_xen::{Config, Pair};

#[global_allocator]
static HEAP: Heap = Heap;

/// Clears the byte that the index selects.
const CLEAR: NotifyRequest = NotifyRequest { action: CLEAR_BYTE, port: PortNumber(0) };

#[test]
fn heap_requests_are_counted() {
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
        let waker = std::task::Waker::noop();
        let mut cx = std::task::Context::from_waker(waker);
        for _ in 0..3 {
            bob.send().unwrap();
            let mut wait = std::pin::pin!(alice.wait());
            assert!(wait.as_mut().poll(&mut cx).is_pending());
            pair.alice.events.dispatch();
            assert!(wait.as_mut().poll(&mut cx).is_ready());
        }
        assert_eq!(export.take().unwrap().release(), Pages(100));
        reservation = Some(mapping.unmap().unwrap());
        assert_eq!(pair.alice.gntalloc.reap(200), 100);
    });
    assert_eq!(count, 0);
}

#[test]
fn releasing_anything_does_not_allocate() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let mut export = pair.alice.share(&pair.bob, 9);
    let grants = pair.alice.offer(&export);
    export.set_notify(UnmapNotify::clear_byte(1).and_event(&alice_port)).unwrap();
    let mut mapping = pair.bob.map::<ReadWrite>(&grants);
    mapping.set_notify(UnmapNotify::clear_byte(2).and_event(&bob_port)).unwrap();
    let reserved = pair.bob.reserve(&grants);
    let granter = pair.alice.gntalloc.open_indexed().unwrap();
    let mut gref = [GrantRef(0)];
    granter.alloc_gref(BOB, 1, &mut gref).unwrap();
    granter.set_unmap_notify(Index(5), CLEAR).unwrap();
    let local = granter.mmap(Index(0), Pages(1), true).unwrap();
    let mapper = pair.bob.gntdev.open_indexed().unwrap();
    mapper.map_grant_ref(&[domid(ALICE).grant(gref[0])]).unwrap();
    mapper.set_unmap_notify(Index(5), CLEAR).unwrap();
    mapper.mmap(Index(0), Pages(1), true, Access::ReadWrite).unwrap();
    let count = heap::requests(|| {
        pair.alice.last_words();
        pair.bob.last_words();
        export = export.end().expect_err("mapped").0;
        drop((export, local, granter));
        assert_eq!(pair.alice.gntalloc.reap(3), 0);
        pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
        drop((mapping, mapper, reserved));
        pair.bob.gntdev.retry_stuck();
        assert_eq!(pair.bob.gntdev.usage().stuck, 10);
        pair.bob.xen.deny(Call::GnttabUnmap, None);
        pair.bob.gntdev.retry_stuck();
        assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 10);
    });
    assert_eq!(count, 0);
    pair.assert_clean();
}

#[test]
#[cfg_attr(miri, ignore = "thousands of pages take long")]
fn repeated_shares_allocate_the_same_every_time() {
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

#[test]
fn an_ended_export_leaves_no_room_to_park_it() {
    let pair = Pair::new();
    let alice = pair.alice.gntalloc.open();
    let cycle = || alice.alloc(domid(BOB), Pages(1), Access::ReadWrite).unwrap().end().unwrap();
    for _ in 0..9 {
        assert_eq!(heap::requests(cycle), 0);
    }
}

/// Returns an operation's countable costs: hypercalls and their entries, bytes, and allocations.
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
        // Make room for all of them first, so that the growth of a table isn't counted.
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

#[test]
fn released_values_keep_no_memory() {
    let pair = Pair::new();
    let cycle = || {
        let device = pair.bob.gntdev.open().unwrap();
        drop(device.clone());
        let export = pair.alice.share(&pair.bob, 2);
        let mapping = device.reserve(&claims::<2>(&export)).unwrap().map::<ReadWrite>().unwrap();
        drop((export, device));
        drop(mapping);
        assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 2);
    };
    cycle();
    let first = heap::requests(cycle);
    for _ in 0..40 {
        assert_eq!(heap::requests(cycle), first);
    }
    pair.assert_clean();
}

#[test]
fn room_to_park_or_get_stuck_is_made_in_advance() {
    for live in 1..6 {
        let pair = Pair::new();
        let mut exports: Vec<_> = (0..=live).map(|_| pair.alice.share(&pair.bob, 1)).collect();
        exports.pop().unwrap().end().unwrap();
        let map = |export| pair.bob.map::<ReadWrite>(&pair.alice.offer(export));
        let mappings: Vec<_> = exports.iter().map(map).collect();
        pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
        assert_eq!(heap::requests(|| drop((exports, mappings))), 0);
        assert_eq!((pair.alice.gntalloc.parked(), pair.bob.gntdev.usage().stuck), (live, live));
        pair.bob.xen.deny(Call::GnttabUnmap, None);
        pair.bob.gntdev.retry_stuck();
        assert_eq!(pair.alice.gntalloc.reap(u32::MAX), live);
        pair.assert_clean();
    }
}

#[test]
fn requesting_no_notification_does_not_allocate() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let mut reservation = pair.bob.reserve(&pair.alice.offer(&export));
    let none = heap::requests(|| reservation.set_notify(UnmapNotify::NONE).unwrap());
    let some = heap::requests(|| reservation.set_notify(UnmapNotify::clear_byte(0)).unwrap());
    assert!(none == 0 && some > 0, "{none} {some}");
}
