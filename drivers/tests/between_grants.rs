// SPDX-License-Identifier: MIT OR Apache-2.0
//! A peer acts between any two accesses to a grant entry: it maps only what is granted to it, with
//! the granted access.

mod common;

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;

use common::{ALICE, BOB, bytes, domid};
use drivers::buffer::Buffer;
use drivers::gntalloc::Busy;
use drivers::gntdev::{Mapping, ReadOnly, ReadWrite};
use drivers::notify::UnmapNotify;
use drivers::shared::SharedMut;
use drivers::{Access, ClaimedGrant, Pages};
use fake_xen::{Config, FakeXen, Guest, Pair, explore};
use xen_sys::grant_table::Gtf;

const CAROL: u16 = 3;

fn small() -> Config {
    let (max_grant_frames, max_maptrack_frames) = (1, 1);
    Config { pages: 32, max_grant_frames, max_maptrack_frames, max_ports: 8, ..Config::default() }
}

fn pair() -> Pair {
    Pair::of(small(), small())
}

/// Tries to map a claim writable.
fn attempt(guest: &Guest, claim: ClaimedGrant) -> Option<Mapping<FakeXen, ReadWrite>> {
    guest.reserve(&[claim]).map::<ReadWrite>().ok()
}

#[test]
fn a_peer_that_maps_while_a_grant_is_introduced_gets_that_page_and_others_get_none() {
    explore(|steps| {
        let pair = pair();
        let carol = pair.world.guest(CAROL, small());
        let device = pair.alice.gntalloc.open();
        // The entry used to name another page, for another domain.
        device.alloc(domid(CAROL), Pages(1), Access::ReadWrite).unwrap().end().unwrap();
        let private = Buffer::new(&pair.alice.system, Pages(1)).unwrap();
        private.write(0, b"secret").unwrap();
        let (mapped, claim) = (RefCell::new(Vec::new()), ClaimedGrant::new(ALICE, 8));
        let stolen = Cell::new(0);
        let peers = || {
            stolen.set(stolen.get() + u32::from(attempt(&carol, claim).is_some()));
            mapped.borrow_mut().extend(attempt(&pair.bob, claim));
        };
        let alloc = || device.alloc(domid(BOB), Pages(1), Access::ReadWrite).unwrap();
        let export = steps.run(&pair.alice.xen, peers, alloc);
        assert_eq!(stolen.get(), 0, "it's not hers any more");
        assert_eq!(export.grefs().next().unwrap().0, 8, "the entry is reused");
        for mapping in mapped.borrow().iter() {
            assert_eq!(bytes(mapping, 0), [0; 6], "zeroed before it was granted");
            export.write(0, b"shared").unwrap();
            assert_eq!(&bytes(mapping, 0), b"shared", "the page that is granted");
        }
        mapped.borrow_mut().clear();
        export.end().unwrap();
    });
}

#[test]
fn a_read_only_grant_is_never_writable_while_it_is_introduced() {
    explore(|steps| {
        let pair = pair();
        let claim = ClaimedGrant::new(ALICE, 8);
        let device = pair.alice.gntalloc.open();
        device.alloc(domid(BOB), Pages(1), Access::ReadWrite).unwrap().end().unwrap();
        let writable = Cell::new(0);
        let peer = || {
            writable.set(writable.get() + u32::from(attempt(&pair.bob, claim).is_some()));
        };
        let alloc = || device.alloc(domid(BOB), Pages(1), Access::ReadOnly).unwrap();
        steps.run(&pair.alice.xen, peer, alloc).end().unwrap();
        assert_eq!(writable.get(), 0);
    });
}

#[test]
fn ending_succeeds_or_finds_the_mapping_that_a_peer_made_meanwhile() {
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let (ended, busy) = (Cell::new(0), Cell::new(0));
        explore(|steps| {
            let pair = pair();
            let export = pair.alice.share_as(&pair.bob, 2, access);
            let claims = pair.alice.offer(&export);
            let mapped = RefCell::new(None);
            // Maps the second page, and unmaps it the next time.
            let peer = || {
                let old = mapped.borrow_mut().take();
                if old.is_none() {
                    let reserved = pair.bob.reserve(&claims[1..]);
                    *mapped.borrow_mut() = reserved.map::<ReadOnly>().ok();
                }
            };
            match steps.run(&pair.alice.xen, peer, || export.end()) {
                Ok(()) => {
                    // FakeXen panics if a mapped page is freed.
                    assert!(mapped.borrow().is_none(), "ended under a mapping");
                    assert!(attempt(&pair.bob, claims[1]).is_none(), "no longer granted");
                    ended.set(ended.get() + 1);
                }
                Err(Busy(export)) => {
                    let writable = export.states().count() == 2 && access == Access::ReadWrite;
                    for claim in &claims {
                        assert!(pair.bob.reserve(&[*claim]).map::<ReadOnly>().is_ok(), "as before");
                        let got = attempt(&pair.bob, *claim).is_some();
                        assert_eq!(got, writable, "as before: {access:?}");
                    }
                    mapped.borrow_mut().take();
                    export.end().unwrap();
                    busy.set(busy.get() + 1);
                }
            }
            drop(mapped);
            pair.assert_clean();
        });
        assert!(ended.get() > 10 && busy.get() > 10, "both happen");
    }
}

#[test]
fn a_dropped_export_is_freed_or_parked_until_the_peer_unmaps_it() {
    explore(|steps| {
        let pair = pair();
        let export = pair.alice.share(&pair.bob, 1);
        let claim = pair.alice.offer(&export)[0];
        let mapped = RefCell::new(None);
        let peer = || {
            let old = mapped.borrow_mut().take();
            if old.is_none() {
                *mapped.borrow_mut() = attempt(&pair.bob, claim);
            }
        };
        steps.run(&pair.alice.xen, peer, || drop(export));
        let held = mapped.borrow().is_some();
        assert_eq!(pair.alice.gntalloc.in_use(), pair.alice.gntalloc.parked());
        assert!(!held || pair.alice.gntalloc.parked() == 1, "parked under a mapping");
        mapped.borrow_mut().take();
        let parked = pair.alice.gntalloc.parked();
        assert_eq!(pair.alice.gntalloc.reap(1), parked);
        pair.assert_clean();
    });
}

#[test]
fn an_exchange_that_fails_though_nobody_maps_is_retried() {
    explore(|steps| {
        let pair = pair();
        let export = pair.alice.share(&pair.bob, 1);
        let gref = export.grefs().next().unwrap();
        // Xen changes a bit that is unrelated to mapping.
        let flags = &pair.alice.xen.grant_entry(gref).flags;
        let xen = || {
            let idle = Gtf::from_bits_retain(flags.load(Ordering::SeqCst));
            if idle & Gtf::TYPE_MASK == Gtf::PERMIT_ACCESS {
                flags.fetch_xor(Gtf::PAT.bits(), Ordering::SeqCst);
            }
        };
        steps.run(&pair.alice.xen, xen, || export.end()).expect("nobody maps it");
        assert_eq!(flags.load(Ordering::SeqCst), 0);
        pair.assert_clean();
    });
}

#[test]
fn after_the_event_of_an_unmap_the_byte_is_cleared() {
    explore(|steps| {
        let pair = pair();
        let (here, there) = pair.alice.channel(&pair.bob);
        let export = pair.alice.share(&pair.bob, 1);
        let mut mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
        export.write(7, &[1]).unwrap();
        mapping.set_notify(UnmapNotify::clear_byte(7).and_event(&there)).unwrap();
        let granter = || {
            pair.alice.events.dispatch();
            assert!(!here.is_pending() || bytes(&export, 7) == [0], "the byte before the event");
        };
        steps.run(&pair.bob.xen, granter, || drop(mapping));
        pair.alice.events.dispatch();
        assert!(here.is_pending());
        assert_eq!(bytes(&export, 7), [0]);
        export.end().unwrap();
    });
}

#[test]
fn after_the_event_of_an_ended_export_the_byte_is_cleared() {
    explore(|steps| {
        let pair = pair();
        let (here, there) = pair.alice.channel(&pair.bob);
        let mut export = pair.alice.share(&pair.bob, 1);
        let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
        export.write(7, &[1]).unwrap();
        export.set_notify(UnmapNotify::clear_byte(7).and_event(&here)).unwrap();
        let mapper = || {
            pair.bob.events.dispatch();
            // A bound port starts with an event of its own.
            let heard = there.delivered() > 1;
            assert!(!heard || bytes(&mapping, 7) == [0], "the byte before the event");
        };
        pair.bob.events.dispatch();
        steps.run(&pair.alice.xen, mapper, || drop(export));
        pair.bob.events.dispatch();
        assert_eq!((there.delivered(), bytes(&mapping, 7)), (2, [0]));
        drop(mapping);
        pair.alice.gntalloc.reap(1);
    });
}
