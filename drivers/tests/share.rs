//! The life of a shared page: allocated, reserved, mapped, unmapped, ended, parked, reaped.

mod common;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use common::{ALICE, BOB, claim, domid, guest, offer, pair, pair_of};
use drivers::gntalloc::Busy;
use drivers::gntdev::{ReadOnly, ReadWrite};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, Errno, Hypervisor, PeerState};
use fake_xen::{Config, World};
use xen_sys::grant_table::GrantStatus;

#[test]
fn bytes_written_on_one_side_are_read_on_the_other_in_both_directions() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    // Across the page boundary, so that the order of the pages counts.
    export.write(4090, b"from alice").unwrap();
    let mut seen = [0; 10];
    mapping.read(4090, &mut seen).unwrap();
    assert_eq!(&seen, b"from alice");
    mapping.write(4091, b"from bob!!").unwrap();
    export.read(4090, &mut seen).unwrap();
    assert_eq!(&seen, b"ffrom bob!");
    drop((mapping, bob));
    export.end().unwrap();
    pair.assert_clean();
}

#[test]
fn a_shared_page_holds_only_zeroes_at_first_whatever_was_in_it() {
    let pair = pair_of(Config { pages: 1, ..Config::default() }, Config::default());
    let alloc = pair.alice.gntalloc.open().unwrap();
    for _ in 0..3 {
        let export = alloc.alloc(domid(BOB), 1, Access::ReadWrite).unwrap();
        let mut bytes = [1; 4096];
        export.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 4096]);
        export.write(17, b"secret").unwrap();
        export.end().unwrap();
    }
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn granting_makes_no_hypercall_and_mapping_n_pages_one() {
    let pair = pair();
    let (alloc, bob) = (pair.alice.gntalloc.open().unwrap(), pair.bob.gntdev.open().unwrap());
    for pages in [1, 2, 33, 256] {
        let before = pair.alice.xen.counters().hypercalls();
        let export = alloc.alloc(domid(BOB), pages, Access::ReadWrite).unwrap();
        assert_eq!(pair.alice.xen.counters().hypercalls(), before, "granting {pages}");

        let reservation = bob.insert(&offer(ALICE, &export)).unwrap();
        let before = pair.bob.xen.counters().hypercalls();
        let mapping = reservation.map::<ReadWrite>().unwrap();
        assert_eq!(pair.bob.xen.counters().hypercalls(), before + 1, "mapping {pages}");
        let reservation = mapping.unmap().unwrap();
        assert_eq!(pair.bob.xen.counters().hypercalls(), before + 2, "unmapping {pages}");
        drop(reservation);
        assert_eq!(pair.bob.xen.counters().hypercalls(), before + 2, "removing {pages}");

        let before = pair.alice.xen.counters().hypercalls();
        export.end().unwrap();
        assert_eq!(pair.alice.xen.counters().hypercalls(), before, "ending {pages}");
    }
}

#[test]
fn the_owner_sees_whether_the_peer_maps_a_page_and_how() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let states = || export.states().collect::<Vec<_>>();
    assert_eq!(states(), [PeerState::Idle, PeerState::Idle]);
    let reservation = bob.insert(&offer(ALICE, &export)[..1]).unwrap();
    assert_eq!(states(), [PeerState::Idle, PeerState::Idle], "reserving tells Xen nothing");
    let mapping = reservation.map::<ReadOnly>().unwrap();
    assert_eq!(states(), [PeerState::MappedRo, PeerState::Idle]);
    let writable = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    assert_eq!(states(), [PeerState::MappedRw, PeerState::MappedRw]);
    drop(writable);
    assert_eq!(states(), [PeerState::MappedRo, PeerState::Idle]);
    drop(mapping);
    assert!(export.is_idle());
}

#[test]
fn a_read_only_grant_can_be_read_and_not_mapped_writable() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 1, Access::ReadOnly).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let reservation = bob.insert(&offer(ALICE, &export)).unwrap();
    let refused = reservation.map::<ReadWrite>().unwrap_err();
    assert_eq!(refused.error.errno(), Errno::EINVAL);
    assert_eq!(refused.error.status(), Some(GrantStatus::GENERAL_ERROR));
    let mapping = refused.value.map::<ReadOnly>().unwrap();
    export.write(0, b"for reading").unwrap();
    let mut seen = [0; 11];
    mapping.read(0, &mut seen).unwrap();
    assert_eq!(&seen, b"for reading");
    assert_eq!(mapping.probe_write(0, b'X'), Ok(false), "a store is caught");
    drop(mapping);
    assert!(export.end().is_ok());
}

#[test]
fn one_bad_reference_in_a_batch_leaves_nothing_mapped_and_every_status_readable() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 8, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    for bad in 0..8 {
        let mut grants = offer(ALICE, &export);
        grants[bad] = claim(ALICE, 99_999);
        let failed = bob.insert(&grants).unwrap().map::<ReadWrite>().unwrap_err();
        assert_eq!(failed.error.status(), Some(GrantStatus::BAD_GNTREF));
        assert!(failed.error.to_string().contains("99999"), "{}", failed.error);
        assert_eq!(failed.value.statuses().count(), failed.value.pages() as usize);
        for (position, (_, status)) in failed.value.statuses().enumerate() {
            let expected =
                if position == bad { GrantStatus::BAD_GNTREF } else { GrantStatus::OKAY };
            assert_eq!(status, expected, "position {position}");
        }
        assert!(export.is_idle(), "the pages that did map are unmapped");
        assert_eq!(pair.bob.gntdev.usage().mapped, 0);
    }
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>();
    drop(mapping.expect("the handle is usable"));
}

#[test]
fn what_was_unmapped_can_be_mapped_again_and_otherwise() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 3, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let reservation = bob.insert(&offer(ALICE, &export)).unwrap();
    let mapping = reservation.map::<ReadWrite>().unwrap();
    let reservation = mapping.unmap().unwrap().expect("made from a reservation");
    let mapping = reservation.map::<ReadOnly>().unwrap();
    assert_eq!(export.states().collect::<Vec<_>>(), [PeerState::MappedRo; 3]);
    drop(mapping);
    assert_eq!(pair.bob.gntdev.usage(), drivers::gntdev::Usage::default());
}

#[test]
fn ending_what_the_peer_maps_hands_the_export_back_unchanged() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 4, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let last = bob.insert(&offer(ALICE, &export)[3..]).unwrap().map::<ReadWrite>().unwrap();
    let export = export.end().unwrap_err().0;
    assert_eq!(export.grefs().count(), 4, "nothing was ended");
    let all = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>();
    drop((all.expect("the grants are all good still"), last));
    assert!(export.end().is_ok());
    drop(bob);
    pair.assert_clean();
}

#[test]
fn dropped_export_outlives_the_peers_mapping() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    export.write(0, b"still here").unwrap();
    assert_eq!(export.release(), 2);
    assert_eq!(pair.alice.gntalloc.parked(), 2);
    assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 0, "the peer maps them still");
    let mut seen = [0; 10];
    mapping.read(0, &mut seen).unwrap();
    assert_eq!(&seen, b"still here");
    drop((mapping, bob));
    assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 2);
    pair.assert_clean();
}

#[test]
fn parked_pages_come_back_by_themselves_within_a_tenth_of_a_second() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    drop(export);
    let alice = &pair.alice;
    let test = async {
        alice.xen.sleep_until(1_000_000_000).await;
        assert_eq!(alice.gntalloc.parked(), 2, "the peer maps them");
        drop(mapping);
        alice.xen.sleep_until(1_000_000_000 + 100_000_000).await;
        assert_eq!(alice.gntalloc.parked(), 0);
    };
    let task = async {
        embassy_futures::select::select(alice.reap_forever(), test).await;
    };
    pair.world.run([fake_xen::Task::new(&alice.events, task)]);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn an_allocation_that_would_fail_tries_parked_pages_first() {
    // Each in turn is what's short: the limit, the grant table, memory.
    for (limit, frames, pages) in [(4, 4, 100), (9999, 1, 9999), (9999, 4, 4)] {
        let config = Config { pages, max_grant_frames: frames, ..Config::default() };
        let pair = pair_of(config, Config::default());
        pair.alice.gntalloc.set_limit(limit);
        let all = limit.min(504 * frames).min(pages);
        let alloc = pair.alice.gntalloc.open().unwrap();
        let export = alloc.alloc(domid(BOB), all, Access::ReadWrite).unwrap();
        let bob = pair.bob.gntdev.open().unwrap();
        let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
        drop(export);
        let error = alloc.alloc(domid(BOB), 1, Access::ReadWrite).unwrap_err();
        let expected = if pages == 4 { Errno::ENOMEM } else { Errno::ENOSPC };
        assert_eq!(error.errno(), expected, "parked pages are charged");
        drop(mapping);
        let export = alloc.alloc(domid(BOB), all, Access::ReadWrite);
        assert!(export.is_ok(), "limit {limit}, {frames} frames, {pages} pages: {export:?}");
    }
}

#[test]
fn a_peer_that_dies_lets_go_of_everything() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 64, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    // What a destroyed guest held it never gives back itself.
    std::mem::forget((mapping, bob));
    let export = export.end().unwrap_err().0;
    pair.world.destroy(BOB);
    assert!(export.end().is_ok());
    pair.alice.xen.assert_clean();
}

#[test]
fn a_mapping_survives_its_granter() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 1, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    export.write(0, b"testament").unwrap();
    std::mem::forget(export);
    pair.world.destroy(ALICE);
    let mut seen = [0; 9];
    mapping.read(0, &mut seen).unwrap();
    assert_eq!(&seen, b"testament");
    drop((mapping, bob));
    pair.bob.xen.assert_clean();
}

#[test]
fn one_domain_can_share_with_itself() {
    let world = World::new();
    let guest = guest(&world, 0, Config::default());
    assert_eq!(guest.domid, domid(0), "the number is learnt without xenstore");
    let export = guest.gntalloc.open().unwrap().alloc(guest.domid, 2, Access::ReadWrite).unwrap();
    let dev = guest.gntdev.open().unwrap();
    let mapping = dev.insert(&offer(0, &export)).unwrap().map::<ReadWrite>().unwrap();
    mapping.write(0, b"loop").unwrap();
    let mut seen = [0; 4];
    export.read(0, &mut seen).unwrap();
    assert_eq!(&seen, b"loop");
    drop((mapping, dev, export));
    guest.xen.assert_clean();
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn a_reference_can_be_mapped_writable_128_times_and_then_no_more() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 1, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let grant = offer(ALICE, &export)[0];
    let first = bob.insert(&[grant; 128]).unwrap().map::<ReadWrite>().expect("128 mappings");
    let failed = bob.insert(&[grant]).unwrap().map::<ReadWrite>().unwrap_err();
    assert_eq!(failed.error.status(), Some(GrantStatus::GENERAL_ERROR));
    let readers = bob.insert(&[grant; 128]).unwrap().map::<ReadOnly>().expect("as many readers");
    drop((first, readers));
    assert!(export.end().is_ok());
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn grants_are_reused_and_references_0_to_7_never_given() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let export = alloc.alloc(domid(BOB), 600, Access::ReadWrite).unwrap();
        let mut grefs: Vec<_> = export.grefs().map(|gref| gref.0).collect();
        grefs.sort_unstable();
        assert!(grefs.windows(2).all(|pair| pair[0] < pair[1]), "each is given once");
        assert!(grefs[0] >= 8);
        seen.push(grefs);
    }
    assert!(seen.iter().all(|grefs| grefs == &seen[0]), "the same entries serve again");
    // 608 entries are two frames; the first was there from the start.
    assert_eq!(pair.alice.xen.counters().calls(Call::GnttabSetupTable), 2);
}

#[test]
fn copying_is_counted_to_the_byte() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 1, Access::ReadWrite).unwrap();
    let copied = || pair.alice.xen.counters().copied.load(Ordering::Relaxed);
    let before = copied();
    export.write(100, &[7; 1000]).unwrap();
    export.read(0, &mut [0; 24]).unwrap();
    assert_eq!(copied() - before, 1024);
}

#[test]
fn a_clean_page_is_not_zeroed_again() {
    let pair = pair_of(Config { pages: 4, ..Config::default() }, Config::default());
    let alloc = pair.alice.gntalloc.open().unwrap();
    let zeroed = || pair.alice.xen.counters().zeroed.load(Ordering::Relaxed);
    alloc.alloc(domid(BOB), 4, Access::ReadWrite).unwrap().end().unwrap();
    // Fresh memory is not known to be clean: zeroed before it's shared, and when it comes back.
    assert_eq!(zeroed(), 2 * 4 * 4096);
    alloc.alloc(domid(BOB), 4, Access::ReadWrite).unwrap().end().unwrap();
    assert_eq!(zeroed(), 3 * 4 * 4096, "once a life, when it's released");
}

#[test]
fn a_peer_that_maps_between_the_look_and_the_exchange_keeps_the_grant_alive() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    let export = alloc.alloc(domid(BOB), 3, Access::ReadWrite).unwrap();
    let grants = offer(ALICE, &export);
    let bob = pair.bob.gntdev.open().unwrap();
    let mapped = Arc::new(Mutex::new(None));
    let (handle, last, slot) = (bob.clone(), grants[2], mapped.clone());
    // Three looks, one at each page; then one exchange for each, and the third comes too late.
    pair.alice.xen.interrupt(6, move || {
        let mapping = handle.insert(&[last]).unwrap().map::<ReadWrite>().unwrap();
        *slot.lock().unwrap() = Some(mapping);
    });
    let Busy(export) = export.end().expect_err("the peer was faster");
    assert!(mapped.lock().unwrap().is_some());
    let states: Vec<_> = export.states().collect();
    assert_eq!(states, [PeerState::Idle, PeerState::Idle, PeerState::MappedRw]);
    let all = bob.insert(&grants).unwrap().map::<ReadWrite>();
    drop(all.expect("the first two are granted as before"));
    *mapped.lock().unwrap() = None;
    assert!(export.end().is_ok());
}

#[test]
fn a_guessing_peer_gets_a_page_parked_and_no_more() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapped = Arc::new(Mutex::new(None));
    let slot = mapped.clone();
    // The first reference of an unused table is known to everybody.
    pair.alice.xen.interrupt(3, move || {
        let mapping = bob.insert(&[claim(ALICE, 8)]).unwrap().map::<ReadWrite>().unwrap();
        *slot.lock().unwrap() = Some(mapping);
    });
    pair.alice.xen.fail_page_after(5);
    let error = alloc.alloc(domid(BOB), 6, Access::ReadWrite).unwrap_err();
    assert_eq!(error.errno(), Errno::ENOMEM);
    assert!(mapped.lock().unwrap().is_some(), "guessed");
    assert_eq!((pair.alice.table.in_use(), pair.alice.gntalloc.parked()), (1, 1));
    *mapped.lock().unwrap() = None;
    assert_eq!(pair.alice.gntalloc.reap(1), 1);
    pair.assert_clean();
}
