// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that only the peer still holds: tried a few at a time, each in turn, and charged until
//! they are back.

mod common;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use common::{BOB, bytes, domid, errno};
use drivers::gntalloc::Busy;
use drivers::gntdev::{Mapping, ReadOnly, ReadWrite};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, ClaimedGrant, Errno, GrantRef, Pages, PeerState};
use embassy_futures::select::select;
use fake_xen::{Config, FakeXen, Pair, Task};

/// Maps each page by itself.
fn map_each(pair: &Pair, grants: &[ClaimedGrant]) -> Vec<Option<Mapping<FakeXen, ReadWrite>>> {
    grants.iter().map(|grant| Some(pair.bob.map(&[*grant]))).collect()
}

fn counts(pair: &Pair) -> (u32, u32) {
    (pair.alice.gntalloc.in_use(), pair.alice.gntalloc.parked())
}

#[test]
fn a_peer_that_unmaps_one_page_at_a_time_gives_one_page_back_at_a_time() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 9);
    let mut mappings = map_each(&pair, &pair.alice.offer(&export));
    assert_eq!(export.release(), Pages(9));
    for (done, page) in [4, 0, 8, 1, 7, 3, 2, 6, 5].into_iter().enumerate() {
        mappings[page] = None;
        assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 1, "page {page}");
        assert_eq!(counts(&pair), (8 - done as u32, 8 - done as u32));
        assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 0);
    }
    pair.assert_clean();
}

#[test]
fn only_the_pages_of_an_export_that_the_peer_maps_are_parked() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 8);
    let grants = pair.alice.offer(&export);
    let mapped = [1, 2, 6].map(|page: usize| pair.bob.map::<ReadOnly>(&[grants[page]]));
    assert_eq!(export.release(), Pages(3));
    assert_eq!(counts(&pair), (3, 3));
    let mut parked = Vec::new();
    pair.alice.gntalloc.for_each(|info| parked.push((info.gref, info.state, info.parked)));
    let expected = [1, 2, 6].map(|page: usize| (grants[page].gref, PeerState::MappedRo, true));
    assert_eq!(parked, expected);
    drop(mapped);
    assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 3);
    pair.assert_clean();
}

#[test]
fn a_reap_of_all_frees_every_unmapped_page_whatever_was_tried_before() {
    const PAGES: u32 = 6;
    // A few tries first, which stop anywhere; then any set of pages is unmapped.
    for tried in 0..2 * PAGES {
        for free in 0..1u32 << PAGES {
            if cfg!(miri) && (tried % 4 != 1 || free % 16 != 3) {
                continue;
            }
            let pair = Pair::new();
            let export = pair.alice.share(&pair.bob, PAGES);
            let mut mappings = map_each(&pair, &pair.alice.offer(&export));
            drop(export);
            (0..tried).for_each(|_| assert_eq!(pair.alice.gntalloc.reap(1), 0));
            let is_free = |page: usize| free & 1 << page != 0;
            (0..mappings.len())
                .filter(|page| is_free(*page))
                .for_each(|page| mappings[page] = None);
            let freed = pair.alice.gntalloc.reap(u32::MAX);
            assert_eq!(freed, free.count_ones(), "{free:06b} free after {tried} tries");
        }
    }
}

#[test]
fn every_parked_page_gets_its_turn_however_few_are_tried_at_a_time() {
    let pair = Pair::new();
    // Two runs and two single pages, some of which stay mapped forever.
    let exports = [5, 4].map(|pages| pair.alice.share(&pair.bob, pages));
    let device = pair.alice.gntalloc.open_indexed().unwrap();
    let mut singles = [GrantRef(0); 2];
    device.alloc_gref(BOB, 1, &mut singles).unwrap();
    let mut grants: Vec<_> = exports.iter().flat_map(|it| pair.alice.offer(it)).collect();
    grants.extend(singles.map(|gref| pair.alice.domid.grant(gref)));
    let mut mappings = map_each(&pair, &grants);
    drop((exports, device));
    assert_eq!(counts(&pair), (11, 11));
    for at_once in [1, 2, 3] {
        // The last of one run, one in the middle of the other, a single page.
        for page in [4, 6, 10] {
            let Some(mapping) = mappings.get_mut(page).and_then(Option::take) else {
                continue;
            };
            drop(mapping);
            // Reaping takes the pieces in turn, each page by page: 4 pieces of at most 5 pages.
            let freed: u32 = (0..4 * 5).map(|_| pair.alice.gntalloc.reap(at_once)).sum();
            assert_eq!(freed, 1, "page {page}, {at_once} at once");
            mappings[page] = None;
        }
    }
    mappings.clear();
    assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 8);
    pair.assert_clean();
}

#[test]
fn reaping_zero_pages_or_with_nothing_parked_does_nothing() {
    let pair = Pair::new();
    assert_eq!((pair.alice.gntalloc.reap(0), pair.alice.gntalloc.reap(u32::MAX)), (0, 0));
    let export = pair.alice.share(&pair.bob, 2);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    drop(export);
    drop(mapping);
    assert_eq!((pair.alice.gntalloc.reap(0), counts(&pair)), (0, (2, 2)));
    assert_eq!(pair.alice.gntalloc.reap(1), 1);
    assert_eq!(pair.alice.gntalloc.reap(1), 1);
    pair.assert_clean();
}

#[test]
fn parked_pages_are_charged_and_a_share_that_needs_them_waits_for_each() {
    let pair = Pair::new();
    pair.alice.gntalloc.set_limit(4);
    let device = pair.alice.gntalloc.open();
    let export = pair.alice.share(&pair.bob, 4);
    let mut mappings = map_each(&pair, &pair.alice.offer(&export));
    drop(export);
    for free in 0..4 {
        let wanted = |pages| device.alloc(domid(BOB), Pages(pages), Access::ReadWrite);
        assert_eq!(errno(wanted(free + 1)), Errno::ENOSPC, "{free} are free");
        if free > 0 {
            drop(wanted(free).expect("as many as came back"));
        }
        mappings[free as usize] = None;
    }
    pair.alice.gntalloc.reap(u32::MAX);
    pair.assert_clean();
}

#[test]
fn busy_leaves_a_read_only_export_read_only_and_a_writable_one_writable() {
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let pair = Pair::new();
        let export = pair.alice.share_as(&pair.bob, 3, access);
        let grants = pair.alice.offer(&export);
        let (device, last) = (pair.bob.gntdev.open().unwrap(), grants[2]);
        let mapped = Arc::new(Mutex::new(None));
        let slot = mapped.clone();
        // The first two are already invalid when the third is mapped.
        pair.alice.xen.interrupt(6, move || {
            let reservation = device.reserve(&[last]).unwrap();
            *slot.lock().unwrap() = Some(reservation.map::<ReadOnly>().unwrap());
        });
        let Busy(export) = export.end().expect_err("the peer was faster");
        assert!(mapped.lock().unwrap().is_some());
        let writable = pair.bob.reserve(&grants).map::<ReadWrite>();
        assert_eq!(writable.is_ok(), access == Access::ReadWrite, "{access:?}");
        drop(writable);
        drop(pair.bob.map::<ReadOnly>(&grants));
        let mut seen = Vec::new();
        pair.alice.gntalloc.for_each(|info| seen.push((info.access, info.parked)));
        assert_eq!(seen, [(access, false); 3]);
        *mapped.lock().unwrap() = None;
        export.end().unwrap();
        pair.assert_clean();
    }
}

#[test]
fn a_busy_export_dropped_by_a_question_mark_is_parked() {
    fn end(pair: &Pair) -> Result<(), drivers::Error> {
        let export = pair.alice.share(&pair.bob, 2);
        let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
        export.write(0, b"kept").unwrap();
        let ended = export.end();
        assert_eq!(&bytes(&mapping, 0), b"kept");
        ended?;
        Ok(())
    }
    let pair = Pair::new();
    assert_eq!(errno(end(&pair)), Errno::EBUSY);
    assert_eq!(counts(&pair), (2, 2));
    assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 2);
    pair.assert_clean();
}

#[test]
fn a_page_back_from_parking_is_zeroed_for_the_next_user() {
    let pair = Pair::of(Config { pages: 2, ..Config::default() }, Config::default());
    let export = pair.alice.share(&pair.bob, 2);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    drop(export);
    mapping.write(0, &[7; 8192]).unwrap();
    drop(mapping);
    // Memory is short, so this reaps.
    let export = pair.alice.share(&pair.bob, 2);
    assert_eq!(bytes::<8192>(&export, 0), [0; 8192]);
    assert_eq!(export.size(), 8192);
}

#[test]
fn two_upkeeps_do_not_keep_each_other_awake() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    let (alice, polls) = (&pair.alice, Cell::new(0));
    // Counts polls, so that an endless run fails instead of hanging.
    let reaper = || {
        let reaping = async {
            let mut reaping = pin!(alice.upkeep());
            poll_fn(|cx| {
                polls.set(polls.get() + 1);
                assert!(polls.get() < 1000, "they wake each other");
                reaping.as_mut().poll(cx)
            })
            .await;
        };
        let limited = async {
            select(reaping, alice.system.sleep_until(2_000_000_000)).await;
        };
        Task::new(&alice.events, limited)
    };
    let test = async {
        alice.system.sleep_until(1_000_000_000).await;
        drop(export);
        drop(mapping);
        alice.system.sleep_until(1_200_000_000).await;
        assert_eq!(alice.gntalloc.parked(), 0);
    };
    pair.world.run([reaper(), reaper(), Task::new(&alice.events, test)]);
}
