// SPDX-License-Identifier: MIT OR Apache-2.0
//! The life of a shared page: allocated, reserved, mapped, unmapped, ended, parked, reaped.

mod common;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use common::{ALICE, BOB, bytes, domid, errno};
use drivers::gntalloc::Busy;
use drivers::gntdev::{ReadOnly, ReadWrite};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, ClaimedGrant, Errno, Pages, PeerState};
use fake_xen::{Config, Mode, Pair, World};
use xen_sys::grant_table::GrantStatus;

#[test]
fn empty_accesses_are_allowed_up_to_the_end_and_not_beyond() {
    let pair = Pair::new();
    for pages in [1, 3] {
        let export = pair.alice.share(&pair.bob, pages);
        let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
        let end = export.size();
        for at in [0, 4096, end] {
            assert_eq!((export.read(at, &mut []), mapping.read(at, &mut [])), (Ok(()), Ok(())));
            assert_eq!((export.write(at, &[]), mapping.write(at, &[])), (Ok(()), Ok(())));
        }
        assert_eq!(errno(export.read(end + 1, &mut [])), Errno::EINVAL);
        assert_eq!(errno(export.write(end + 1, &[])), Errno::EINVAL);
        assert_eq!(errno(mapping.read(end + 1, &mut [])), Errno::EINVAL);
        assert_eq!(errno(mapping.write(end + 1, &[])), Errno::EINVAL);
        drop((mapping, export));
    }
}

#[test]
fn bytes_written_on_one_side_are_read_on_the_other_in_both_directions() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    // Across the page boundary, so that the order of the pages matters.
    export.write(4090, b"from alice").unwrap();
    assert_eq!(&bytes(&mapping, 4090), b"from alice");
    mapping.write(4091, b"from bob!!").unwrap();
    assert_eq!(&bytes(&export, 4090), b"ffrom bob!");
    drop(mapping);
    export.end().unwrap();
    pair.assert_clean();
}

#[test]
fn a_shared_page_holds_only_zeroes_at_first_whatever_was_in_it() {
    let pair = Pair::of(Config { pages: 1, ..Config::default() }, Config::default());
    for _ in 0..3 {
        let export = pair.alice.share(&pair.bob, 1);
        assert_eq!(bytes(&export, 0), [0; 4096]);
        export.write(17, b"secret").unwrap();
        export.end().unwrap();
    }
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn granting_makes_no_hypercall_and_mapping_n_pages_one() {
    let pair = Pair::new();
    let alloc = pair.alice.gntalloc.open();
    for pages in [1, 2, 33, 256] {
        let before = pair.alice.system.counters().hypercalls();
        let export = alloc.alloc(domid(BOB), Pages(pages), Access::ReadWrite).unwrap();
        assert_eq!(pair.alice.system.counters().hypercalls(), before, "granting {pages}");

        let reservation = pair.bob.reserve(&pair.alice.offer(&export));
        let before = pair.bob.system.counters().hypercalls();
        let mapping = reservation.map::<ReadWrite>().unwrap();
        assert_eq!(pair.bob.system.counters().hypercalls(), before + 1, "mapping {pages}");
        let reservation = mapping.unmap().unwrap();
        assert_eq!(pair.bob.system.counters().hypercalls(), before + 2, "unmapping {pages}");
        drop(reservation);
        assert_eq!(pair.bob.system.counters().hypercalls(), before + 2, "removing {pages}");

        let before = pair.alice.system.counters().hypercalls();
        export.end().unwrap();
        assert_eq!(pair.alice.system.counters().hypercalls(), before, "ending {pages}");
    }
}

#[test]
fn the_owner_sees_whether_the_peer_maps_a_page_and_how() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let states = || export.states().collect::<Vec<_>>();
    assert_eq!(states(), [PeerState::Idle, PeerState::Idle]);
    let reservation = pair.bob.reserve(&pair.alice.offer(&export)[..1]);
    assert_eq!(states(), [PeerState::Idle, PeerState::Idle], "reserving tells Xen nothing");
    let mapping = reservation.map::<ReadOnly>().unwrap();
    assert_eq!(states(), [PeerState::MappedRo, PeerState::Idle]);
    let writable = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    assert_eq!(states(), [PeerState::MappedRw, PeerState::MappedRw]);
    drop(writable);
    assert_eq!(states(), [PeerState::MappedRo, PeerState::Idle]);
    drop(mapping);
    assert!(export.is_idle());
}

#[test]
fn a_read_only_grant_can_be_read_and_not_mapped_writable() {
    let pair = Pair::new();
    let export = pair.alice.share_as(&pair.bob, 1, Access::ReadOnly);
    let reservation = pair.bob.reserve(&pair.alice.offer(&export));
    let refused = reservation.map::<ReadWrite>().unwrap_err();
    assert_eq!(refused.error.errno(), Errno::EINVAL);
    assert_eq!(refused.error.status(), Some(GrantStatus::GENERAL_ERROR));
    let mapping = refused.value.map::<ReadOnly>().unwrap();
    export.write(0, b"for reading").unwrap();
    assert_eq!(&bytes(&mapping, 0), b"for reading");
    assert_eq!(mapping.probe_write(0, b'X'), Ok(false), "a store is caught");
    drop(mapping);
    assert!(export.end().is_ok());
}

#[test]
fn a_mapping_is_unmapped_completely_after_a_smaller_one_was_made() {
    let pair = Pair::new();
    let [large, small] = [8, 1].map(|pages| pair.alice.share(&pair.bob, pages));
    let first = pair.bob.map::<ReadWrite>(&pair.alice.offer(&large));
    let second = pair.bob.map::<ReadWrite>(&pair.alice.offer(&small));
    drop((first.unmap().unwrap(), second, large, small));
    pair.assert_clean();
}

#[test]
fn one_bad_reference_in_a_batch_leaves_nothing_mapped_and_every_status_readable() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 8);
    for bad in 0..8 {
        let mut grants = pair.alice.offer(&export);
        grants[bad] = ClaimedGrant::new(ALICE, 99_999);
        let failed = pair.bob.reserve(&grants).map::<ReadWrite>().unwrap_err();
        assert_eq!(failed.error.status(), Some(GrantStatus::BAD_GNTREF));
        assert!(failed.error.to_string().contains("99999"), "{}", failed.error);
        assert_eq!(failed.value.statuses().count(), failed.value.pages().0 as usize);
        for (position, (_, status)) in failed.value.statuses().enumerate() {
            let expected =
                if position == bad { GrantStatus::BAD_GNTREF } else { GrantStatus::OKAY };
            assert_eq!(status, expected, "position {position}");
        }
        assert!(export.is_idle(), "the pages that did map are unmapped");
        assert_eq!(pair.bob.gntdev.usage().mapped, 0);
    }
    let mapping = pair.bob.reserve(&pair.alice.offer(&export)).map::<ReadWrite>();
    drop(mapping.expect("the grants are good"));
}

#[test]
fn an_unmapped_reservation_can_be_mapped_again_with_other_access() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let reservation = pair.bob.reserve(&pair.alice.offer(&export));
    let mapping = reservation.map::<ReadWrite>().unwrap();
    let reservation = mapping.unmap().unwrap();
    let mapping = reservation.map::<ReadOnly>().unwrap();
    assert_eq!(export.states().collect::<Vec<_>>(), [PeerState::MappedRo; 3]);
    drop(mapping);
    assert_eq!(pair.bob.gntdev.usage(), drivers::gntdev::Usage::default());
}

#[test]
fn ending_what_the_peer_maps_hands_the_export_back_unchanged() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 4);
    let last = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export)[3..]);
    let export = export.end().unwrap_err().0;
    assert_eq!(export.grefs().count(), 4, "nothing was ended");
    let all = pair.bob.reserve(&pair.alice.offer(&export)).map::<ReadWrite>();
    drop((all.expect("the grants are all still good"), last));
    assert!(export.end().is_ok());
    pair.assert_clean();
}

#[test]
fn dropped_export_outlives_the_peers_mapping() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    export.write(0, b"still here").unwrap();
    assert_eq!(export.release(), Pages(2));
    assert_eq!(pair.alice.gntalloc.parked(), 2);
    assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 0, "the peer still maps them");
    assert_eq!(&bytes(&mapping, 0), b"still here");
    drop(mapping);
    assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 2);
    pair.assert_clean();
}

#[test]
fn parked_pages_come_back_by_themselves_within_a_tenth_of_a_second() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    drop(export);
    let alice = &pair.alice;
    let test = async {
        alice.system.sleep_until(1_000_000_000).await;
        assert_eq!(alice.gntalloc.parked(), 2, "the peer maps them");
        drop(mapping);
        alice.system.sleep_until(1_000_000_000 + 100_000_000).await;
        assert_eq!(alice.gntalloc.parked(), 0);
    };
    let task = async {
        embassy_futures::select::select(alice.upkeep(), test).await;
    };
    pair.world.run([fake_xen::Task::new(&alice.events, task)]);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn an_allocation_that_would_fail_tries_parked_pages_first() {
    // In turn, the limit, the grant table and memory are short.
    for (limit, frames, pages) in [(4, 4, 100), (9999, 1, 9999), (9999, 4, 4)] {
        let config = Config { pages, max_grant_frames: frames, ..Config::default() };
        let pair = Pair::of(config, Config::default());
        pair.alice.gntalloc.set_limit(limit);
        let all = limit.min(504 * frames).min(pages);
        let alloc = pair.alice.gntalloc.open();
        let export = alloc.alloc(domid(BOB), Pages(all), Access::ReadWrite).unwrap();
        let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
        drop(export);
        let error = alloc.alloc(domid(BOB), Pages(1), Access::ReadWrite).unwrap_err();
        let expected = if pages == 4 { Errno::ENOMEM } else { Errno::ENOSPC };
        assert_eq!(error.errno(), expected, "parked pages are charged");
        drop(mapping);
        let export = alloc.alloc(domid(BOB), Pages(all), Access::ReadWrite);
        assert!(export.is_ok(), "limit {limit}, {frames} frames, {pages} pages: {export:?}");
    }
}

#[test]
fn a_peer_that_dies_lets_go_of_everything() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 64);
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    // A destroyed guest never frees what it held.
    std::mem::forget((mapping, bob));
    let export = export.end().unwrap_err().0;
    pair.world.destroy(BOB);
    assert!(export.end().is_ok());
    pair.alice.xen.assert_clean();
}

#[test]
fn a_mapping_survives_its_granter() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    export.write(0, b"testament").unwrap();
    std::mem::forget(export);
    pair.world.destroy(ALICE);
    assert_eq!(&bytes(&mapping, 0), b"testament");
    drop(mapping);
    pair.bob.xen.assert_clean();
}

#[test]
fn one_domain_can_share_with_itself_if_it_is_a_pv_guest() {
    let guest = World::new().guest(0, Config { mode: Mode::Pv, ..Config::default() });
    assert_eq!(guest.domid, domid(0), "the number is learnt without xenstore");
    let export = guest.share(&guest, 2);
    let mapping = guest.map::<ReadWrite>(&guest.offer(&export));
    mapping.write(0, b"loop").unwrap();
    assert_eq!(&bytes(&export, 0), b"loop");
    drop((mapping, export));
    guest.assert_clean();
}

#[test]
fn a_pvh_guest_is_refused_its_own_pages_before_xen_is_asked() {
    let pvh = Config { mode: Mode::Pvh, ..Config::default() };
    let pair = Pair::of(Config::default(), pvh);
    let maps = || pair.bob.system.counters().calls(Call::GnttabMap);
    let (own, other) = (pair.bob.share(&pair.bob, 1), pair.alice.share(&pair.bob, 1));
    let grants = [pair.alice.offer(&other)[0], pair.bob.offer(&own)[0]];
    let failed = pair.bob.reserve(&grants).map::<ReadWrite>().expect_err("refused");
    assert_eq!(failed.error.errno(), Errno::EINVAL);
    assert!(failed.error.to_string().contains("PVH"), "{}", failed.error);
    let device = pair.bob.gntdev.open_indexed().unwrap();
    let index = device.map_grant_ref(&grants).unwrap();
    let mmap = device.mmap(index, Pages(2), true, Access::ReadOnly);
    assert_eq!((mmap, maps()), (Err(failed.error), 0));
    // The other guest's page can be mapped by itself.
    device.mmap(index, Pages(1), true, Access::ReadOnly).unwrap();
    drop((device, failed, own, other));
    pair.assert_clean();
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn a_reference_can_be_mapped_writable_128_times_and_then_no_more() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let grant = pair.alice.offer(&export)[0];
    let first = pair.bob.map::<ReadWrite>(&[grant; 128]);
    let failed = pair.bob.reserve(&[grant]).map::<ReadWrite>().unwrap_err();
    assert_eq!(failed.error.status(), Some(GrantStatus::GENERAL_ERROR));
    let readers = pair.bob.map::<ReadOnly>(&[grant; 128]);
    drop((first, readers));
    assert!(export.end().is_ok());
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn grants_are_reused_and_references_0_to_7_never_given() {
    let pair = Pair::new();
    let alloc = pair.alice.gntalloc.open();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let export = alloc.alloc(domid(BOB), Pages(600), Access::ReadWrite).unwrap();
        let mut grefs: Vec<_> = export.grefs().map(|gref| gref.0).collect();
        grefs.sort_unstable();
        assert!(grefs.windows(2).all(|pair| pair[0] < pair[1]), "each is given once");
        assert!(grefs[0] >= 8);
        seen.push(grefs);
    }
    assert!(seen.iter().all(|grefs| grefs == &seen[0]), "the same entries are reused");
    // 608 entries take two frames; the first was there from the start.
    assert_eq!(pair.alice.system.counters().calls(Call::GnttabSetupTable), 2);
}

#[test]
fn copying_is_counted_to_the_byte() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let copied = || pair.alice.system.counters().copied.load(Ordering::Relaxed);
    let before = copied();
    export.write(100, &[7; 1000]).unwrap();
    export.read(0, &mut [0; 24]).unwrap();
    assert_eq!(copied() - before, 1024);
}

#[test]
fn a_clean_page_is_not_zeroed_again() {
    let pair = Pair::of(Config { pages: 4, ..Config::default() }, Config::default());
    let alloc = pair.alice.gntalloc.open();
    let zeroed = || pair.alice.system.counters().zeroed.load(Ordering::Relaxed);
    alloc.alloc(domid(BOB), Pages(4), Access::ReadWrite).unwrap().end().unwrap();
    // Fresh memory is not known to be clean: it is zeroed before it is shared, and again when it is
    // freed.
    assert_eq!(zeroed(), 2 * 4 * 4096);
    alloc.alloc(domid(BOB), Pages(4), Access::ReadWrite).unwrap().end().unwrap();
    assert_eq!(zeroed(), 3 * 4 * 4096, "once per use, when it is released");
}

#[test]
fn a_peer_that_maps_between_the_look_and_the_exchange_keeps_the_grant_alive() {
    let pair = Pair::new();
    let alloc = pair.alice.gntalloc.open();
    let export = alloc.alloc(domid(BOB), Pages(3), Access::ReadWrite).unwrap();
    let grants = pair.alice.offer(&export);
    let bob = pair.bob.gntdev.open().unwrap();
    let mapped = Arc::new(Mutex::new(None));
    let (device, last, slot) = (bob.clone(), grants[2], mapped.clone());
    // Three looks, one at each page; then one exchange for each, the third of which comes too late.
    pair.alice.xen.interrupt(6, move || {
        let mapping = device.reserve(&[last]).unwrap().map::<ReadWrite>().unwrap();
        *slot.lock().unwrap() = Some(mapping);
    });
    let Busy(export) = export.end().expect_err("the peer was faster");
    assert!(mapped.lock().unwrap().is_some());
    let states: Vec<_> = export.states().collect();
    assert_eq!(states, [PeerState::Idle, PeerState::Idle, PeerState::MappedRw]);
    let all = pair.bob.reserve(&grants).map::<ReadWrite>();
    drop(all.expect("the first two are granted as before"));
    *mapped.lock().unwrap() = None;
    assert!(export.end().is_ok());
}

#[test]
fn a_guessing_peer_gets_a_page_parked_and_no_more() {
    let pair = Pair::new();
    let alloc = pair.alice.gntalloc.open();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapped = Arc::new(Mutex::new(None));
    let slot = mapped.clone();
    // Everybody knows the first reference of an unused table. It is granted in the first look at the
    // table, and ended in the second.
    pair.alice.xen.interrupt(2, move || {
        let mapping =
            bob.reserve(&[ClaimedGrant::new(ALICE, 8)]).unwrap().map::<ReadWrite>().unwrap();
        *slot.lock().unwrap() = Some(mapping);
    });
    pair.alice.xen.fail_page_after(5);
    let error = alloc.alloc(domid(BOB), Pages(6), Access::ReadWrite).unwrap_err();
    assert_eq!(error.errno(), Errno::ENOMEM);
    assert!(mapped.lock().unwrap().is_some(), "guessed");
    assert_eq!((pair.alice.gntalloc.in_use(), pair.alice.gntalloc.parked()), (1, 1));
    *mapped.lock().unwrap() = None;
    assert_eq!(pair.alice.gntalloc.reap(1), 1);
    pair.assert_clean();
}
