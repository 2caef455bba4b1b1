// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values dropped in any order, forgotten values, and very many values.

mod common;

use std::any::Any;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{ALICE, BOB, bytes, domid};
use drivers::gntdev::{ReadOnly, ReadWrite, Usage};
use drivers::notify::{CLEAR_BYTE, NotifyRequest, SEND_EVENT, UnmapNotify};
use drivers::shared::SharedMut;
use drivers::{Access, GrantRef, Index, Pages};
use fake_xen::{Config, Pair};

/// Returns every order of the numbers below `n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let longer = |order: Vec<usize>| {
        (0..n).map(move |at| {
            let mut order = order.clone();
            order.insert(at, n - 1);
            order
        })
    };
    orders(n - 1).into_iter().flat_map(longer).collect()
}

#[test]
fn values_dropped_in_any_order_leave_nothing() {
    for order in orders(7).into_iter().step_by(if cfg!(miri) { 700 } else { 1 }) {
        let pair = Pair::new();
        let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
        let granter = pair.alice.gntalloc.open();
        let mut export = granter.alloc(domid(BOB), Pages(3), Access::ReadWrite).unwrap();
        export.set_notify(UnmapNotify::clear_byte(1).and_event(&alice_port)).unwrap();
        let grants = pair.alice.offer(&export);
        let mapper = pair.bob.gntdev.open().unwrap();
        let mut mapping = mapper.reserve(&grants).unwrap().map::<ReadWrite>().unwrap();
        mapping.set_notify(UnmapNotify::clear_byte(2).and_event(&bob_port)).unwrap();
        let mut reserved = mapper.reserve(&grants[..2]).unwrap();
        reserved.set_notify(UnmapNotify::event(&bob_port)).unwrap();
        let by_index = pair.bob.gntdev.open_indexed().unwrap();
        by_index.map_grant_ref(&grants).unwrap();
        let port = bob_port.number();
        let both = NotifyRequest { action: CLEAR_BYTE | SEND_EVENT, port };
        by_index.set_unmap_notify(Index(7), both).unwrap();
        by_index.mmap(Index(0), Pages(2), true, Access::ReadWrite).unwrap();
        let ports = (alice_port, bob_port);
        let values: [Box<dyn Any>; 7] = [
            Box::new(granter),
            Box::new(export),
            Box::new(mapper),
            Box::new(mapping),
            Box::new(reserved),
            Box::new(by_index),
            Box::new(ports),
        ];
        let mut values = values.map(Some);
        let counters = pair.bob.system.counters();
        let before = counters.calls(drivers::Call::EvtchnSend);
        for place in &order {
            values[*place] = None;
        }
        let sent = counters.calls(drivers::Call::EvtchnSend) - before;
        assert_eq!(sent, 3, "{order:?}");
        pair.alice.gntalloc.reap(u32::MAX);
        pair.assert_clean();
    }
}

#[test]
fn services_may_be_dropped_before_their_values() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let grants = pair.alice.offer(&export);
    let mapping = pair.bob.map::<ReadWrite>(&grants);
    let reserved = pair.bob.reserve(&grants);
    let Pair { world, alice, bob } = pair;
    let (alice_xen, bob_xen) = (alice.xen.clone(), bob.xen.clone());
    drop((alice, bob, world));
    export.write(0, b"orphans").unwrap();
    assert_eq!(&bytes(&mapping, 0), b"orphans");
    let again = reserved.map::<ReadOnly>().unwrap();
    assert_eq!(&bytes(&again, 0), b"orphans");
    drop((mapping, again));
    export.end().unwrap();
    alice_xen.assert_clean();
    bob_xen.assert_clean();
}

#[test]
fn only_forgotten_values_are_lost() {
    let pair = Pair::new();
    let forgotten = pair.alice.share(&pair.bob, 2);
    let grants = pair.alice.offer(&forgotten);
    let mapping = pair.bob.map::<ReadWrite>(&grants);
    let addr = mapping.addr();
    std::mem::forget(mapping);
    std::mem::forget(pair.bob.reserve(&grants));
    std::mem::forget(pair.bob.gntdev.open().unwrap());
    let by_index = pair.bob.gntdev.open_indexed().unwrap();
    by_index.map_grant_ref(&grants).unwrap();
    by_index.mmap(Index(0), Pages(1), true, Access::ReadOnly).unwrap();
    std::mem::forget(by_index);
    std::mem::forget(pair.alice.gntalloc.open_indexed().unwrap());
    let lost = Usage { reserved: 6, mapped: 3, stuck: 0 };
    assert_eq!(pair.bob.gntdev.usage(), lost);
    let Err(busy) = forgotten.end() else { panic!("it stays mapped forever") };
    std::mem::forget(busy);
    assert_eq!((pair.alice.gntalloc.in_use(), pair.alice.gntalloc.parked()), (2, 0));
    for _ in 0..3 {
        let export = pair.alice.share(&pair.bob, 3);
        assert!(export.grefs().all(|gref| grants.iter().all(|grant| grant.gref != gref)));
        let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
        assert!(mapping.addr().abs_diff(addr) >= 2 * 4096, "an address in use was given out");
        drop(mapping);
        export.end().unwrap();
        assert_eq!(pair.bob.gntdev.usage(), lost);
    }
    pair.alice.last_words();
    pair.bob.last_words();
    pair.bob.gntdev.retry_stuck();
    assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 0);
}

#[test]
fn a_thousand_devices_of_each_kind_are_open_at_once() {
    const DEVICES: usize = if cfg!(miri) { 10 } else { 1000 };
    let config = Config {
        pages: 4 * DEVICES as u32,
        max_grant_frames: 16,
        max_maptrack_frames: 32,
        ..Config::default()
    };
    let pair = Pair::of(config, config);
    pair.alice.gntalloc.set_limit(4 * DEVICES as u32);
    let (mut typed, mut by_index) = (Vec::new(), Vec::new());
    for number in 0..DEVICES {
        let export = pair.alice.share(&pair.bob, 1);
        export.write(0, &number.to_ne_bytes()).unwrap();
        let mapper = pair.bob.gntdev.open().unwrap();
        let reserved = mapper.reserve(&pair.alice.offer(&export)).unwrap();
        typed.push(Some((export, mapper, reserved.map::<ReadWrite>().unwrap())));

        let granter = pair.alice.gntalloc.open_indexed().unwrap();
        let mut gref = [GrantRef(0)];
        granter.alloc_gref(BOB, 1, &mut gref).unwrap();
        let local = granter.mmap(Index(0), Pages(1), true).unwrap();
        local.write(0, &number.to_ne_bytes()).unwrap();
        let mapper = pair.bob.gntdev.open_indexed().unwrap();
        mapper.map_grant_ref(&[domid(ALICE).grant(gref[0])]).unwrap();
        let addr = mapper.mmap(Index(0), Pages(1), true, Access::ReadWrite).unwrap();
        by_index.push(Some((granter, local, mapper, addr)));
    }
    let all = 2 * DEVICES as u32;
    assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: all, mapped: all, stuck: 0 });
    // Close every other one, then the rest.
    for half in 0..2 {
        for number in 0..DEVICES {
            let place = (number * 2 + DEVICES / 2 + half) % DEVICES;
            if let Some((_, _, mapping)) = typed[place].take() {
                assert_eq!(bytes(&mapping, 0), place.to_ne_bytes());
            }
            if let Some((_, _, mapper, addr)) = by_index[place].take() {
                let mut seen = [0; size_of::<usize>()];
                mapper.read(addr, &mut seen).unwrap();
                assert_eq!(seen, place.to_ne_bytes());
            }
        }
    }
    pair.alice.gntalloc.reap(u32::MAX);
    pair.assert_clean();
}

#[test]
fn a_callback_that_lists_the_grants_may_call_the_service() {
    let pair = Pair::new();
    let exports = Mutex::new(Vec::from([3, 2].map(|pages| pair.alice.share(&pair.bob, pages))));
    let mut seen = 0;
    pair.alice.gntalloc.for_each(|info| {
        seen += 1;
        assert_eq!(info.peer.0, BOB);
        exports.lock().unwrap().pop();
        let more = pair.alice.share(&pair.bob, 1);
        pair.alice.gntalloc.reap(u32::MAX);
        pair.alice.gntalloc.for_each(|_| ());
        drop(more);
    });
    assert_eq!(seen, 2, "the second call releases all that is left");
    assert_eq!(pair.alice.gntalloc.in_use(), 0);
    pair.assert_clean();
}

#[test]
#[cfg_attr(miri, ignore = "takes long")]
fn threads_that_share_a_guest_find_its_tables_consistent() {
    let config = Config { max_grant_frames: 8, pages: 3000, ..Config::default() };
    let pair = Pair::of(config, Config { max_maptrack_frames: 16, ..Config::default() });
    pair.alice.gntalloc.set_limit(3000);
    let rounds = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let (pair, rounds) = (&pair, &rounds);
            scope.spawn(move || {
                for round in 0..60 {
                    let pages = 1 + (round * 7 + u32::from(thread) * 13) % 90;
                    let export = pair.alice.share(&pair.bob, pages);
                    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
                    mapping.write(0, &[thread; 4096]).unwrap();
                    assert_eq!(bytes(&export, 0), [thread; 4096]);
                    if round % 2 == 0 {
                        drop(export);
                        drop(mapping);
                        pair.alice.gntalloc.reap(40);
                    } else {
                        drop(mapping);
                        drop(export);
                    }
                    let by_index = pair.bob.gntdev.open_indexed().unwrap();
                    by_index.map_grant_ref(&[domid(ALICE).grant(GrantRef(8))]).unwrap();
                    pair.bob.gntdev.retry_stuck();
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(rounds.load(Ordering::Relaxed), 240);
    pair.alice.gntalloc.reap(u32::MAX);
    pair.assert_clean();
}
