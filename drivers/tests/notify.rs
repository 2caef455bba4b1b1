//! Unmap notification on both devices: what is cleared, what is sent, and when.

mod common;

use common::{ALICE, BOB, Pair, domid, offer, pair};
use drivers::events::Port;
use drivers::gntdev::{ReadOnly, ReadWrite};
use drivers::notify::{CLEAR_BYTE, SEND_EVENT, UnmapNotify};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, Hypervisor};
use fake_xen::FakeXen;

/// A channel between the two: alice's end and bob's, with bob's first event taken.
fn channel(pair: &Pair) -> (Port<FakeXen>, Port<FakeXen>) {
    let alice = pair.alice.events.alloc_unbound(domid(BOB)).unwrap();
    let bob = pair.bob.events.bind_interdomain(domid(ALICE), alice.number()).unwrap();
    (alice, bob)
}

fn both(port: &Port<FakeXen>) -> UnmapNotify {
    UnmapNotify { action: CLEAR_BYTE | SEND_EVENT, port: port.number() }
}

fn byte(shared: &impl Shared, offset: usize) -> u8 {
    let mut byte = [0];
    shared.read(offset, &mut byte).unwrap();
    byte[0]
}

/// How many events were delivered to a port so far.
fn events(pair: &Pair, port: &Port<FakeXen>) -> u64 {
    pair.alice.events.dispatch();
    pair.bob.events.dispatch();
    port.delivered()
}

#[test]
fn a_mapper_that_lets_go_clears_its_byte_and_rings_the_granter_once() {
    let pair = pair();
    let (alice_port, bob_port) = channel(&pair);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    mapping.set_notify(4100, both(&bob_port)).unwrap();
    export.write(4099, &[1, 1, 1]).unwrap();
    let sends = || pair.bob.xen.counters().calls(Call::EvtchnSend);
    let before = sends();
    drop((mapping, bob));
    assert_eq!(sends(), before + 1);
    assert_eq!(events(&pair, &alice_port), 1);
    assert_eq!([4099, 4100, 4101].map(|at| byte(&export, at)), [1, 0, 1], "one byte");
}

#[test]
fn unmapping_clears_the_byte_and_removing_sends_the_event() {
    let pair = pair();
    let (alice_port, bob_port) = channel(&pair);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let reservation = bob.insert(&offer(ALICE, &export)).unwrap();
    reservation.set_notify(0, both(&bob_port)).unwrap();
    export.write(0, &[1]).unwrap();
    let reservation = reservation.map::<ReadWrite>().unwrap().unmap().unwrap();
    assert_eq!((byte(&export, 0), events(&pair, &alice_port)), (0, 0));
    export.write(0, &[1]).unwrap();
    let reservation = reservation.unwrap().map::<ReadWrite>().unwrap().unmap().unwrap();
    assert_eq!(byte(&export, 0), 1, "cleared once only");
    drop(reservation);
    assert_eq!(events(&pair, &alice_port), 1);
}

#[test]
fn the_event_of_a_reservation_removed_piece_by_piece_comes_with_the_last_piece() {
    let pair = pair();
    let (alice_port, bob_port) = channel(&pair);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 4, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let index = bob.map_grant_ref(&offer(ALICE, &export)).unwrap();
    bob.set_unmap_notify(index, both(&bob_port)).unwrap();
    for page in [1, 0, 3] {
        bob.unmap_grant_ref(index + page * 4096, 1).unwrap();
        // Another reservation in its place is none of its business.
        bob.map_grant_ref(&offer(ALICE, &export)[..1]).unwrap();
        assert_eq!(events(&pair, &alice_port), 0);
    }
    bob.unmap_grant_ref(index + 2 * 4096, 1).unwrap();
    assert_eq!(events(&pair, &alice_port), 1);
}

#[test]
fn a_later_request_replaces_an_earlier_one() {
    let pair = pair();
    let (first_alice, first_bob) = channel(&pair);
    let (second_alice, second_bob) = channel(&pair);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    export.write(0, &[1]).unwrap();
    export.write(5000, &[1]).unwrap();
    mapping.set_notify(0, both(&first_bob)).unwrap();
    mapping.set_notify(5000, both(&second_bob)).unwrap();
    drop(mapping);
    assert_eq!((byte(&export, 0), byte(&export, 5000)), (1, 0));
    assert_eq!((events(&pair, &first_alice), events(&pair, &second_alice)), (0, 1));
}

#[test]
fn an_action_of_0_takes_a_request_back() {
    let pair = pair();
    let (alice_port, bob_port) = channel(&pair);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 1, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    export.write(0, &[1]).unwrap();
    mapping.set_notify(0, both(&bob_port)).unwrap();
    mapping.set_notify(0, UnmapNotify::default()).unwrap();
    drop(mapping);
    assert_eq!((byte(&export, 0), events(&pair, &alice_port)), (1, 0));
}

#[test]
fn a_page_that_was_mapped_read_only_afterwards_keeps_its_byte() {
    let pair = pair();
    let (alice_port, bob_port) = channel(&pair);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 1, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let reservation = bob.insert(&offer(ALICE, &export)).unwrap();
    export.write(0, &[1]).unwrap();
    reservation.set_notify(0, both(&bob_port)).unwrap();
    drop(reservation.map::<ReadOnly>().unwrap());
    assert_eq!((byte(&export, 0), events(&pair, &alice_port)), (1, 1));
}

#[test]
fn closing_a_handle_with_a_live_reservation_by_index_rings() {
    let pair = pair();
    let (alice_port, bob_port) = channel(&pair);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 1, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let index = bob.map_grant_ref(&offer(ALICE, &export)).unwrap();
    bob.set_unmap_notify(index, both(&bob_port)).unwrap();
    drop(bob);
    assert_eq!(events(&pair, &alice_port), 1);
}

#[test]
fn a_granter_that_lets_go_tells_a_peer_that_still_maps_the_page() {
    let pair = pair();
    let (alice_port, bob_port) = channel(&pair);
    let before = events(&pair, &bob_port);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    export.write(4096 + 7, &[1]).unwrap();
    export.set_notify(4096 + 7, both(&alice_port)).unwrap();
    assert_eq!(export.release(), 2);
    assert_eq!((byte(&mapping, 4096 + 7), events(&pair, &bob_port)), (0, before + 1));
    mapping.write(4096 + 7, &[1]).unwrap();
    assert_eq!(pair.alice.gntalloc.reap(9), 0);
    assert_eq!((byte(&mapping, 4096 + 7), events(&pair, &bob_port)), (1, before + 1), "once");
}

#[test]
fn a_port_stays_open_for_the_event_it_was_promised_for() {
    let pair = pair();
    let (alice_port, bob_port) = channel(&pair);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 1, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    mapping.set_notify(0, both(&bob_port)).unwrap();
    let (open, closes) = (pair.bob.events.open_ports(), Call::EvtchnClose);
    drop(bob_port);
    assert_eq!(pair.bob.events.open_ports(), open, "the request holds it");
    let before = pair.bob.xen.counters().calls(closes);
    drop(mapping);
    assert_eq!(events(&pair, &alice_port), 1);
    assert_eq!(pair.bob.xen.counters().calls(closes), before + 1, "and then lets go of it");
}

#[test]
fn a_guest_that_crashes_says_its_last_words_on_both_devices() {
    let pair = pair();
    let (alice_port, bob_port) = channel(&pair);
    let before = events(&pair, &bob_port);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 1, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    export.write(0, &[1, 1]).unwrap();
    export.set_notify(0, both(&alice_port)).unwrap();
    mapping.set_notify(1, both(&bob_port)).unwrap();
    pair.alice.last_words();
    assert_eq!((byte(&mapping, 0), events(&pair, &bob_port)), (0, before + 1));
    pair.bob.last_words();
    assert_eq!((byte(&export, 1), events(&pair, &alice_port)), (0, 1));
    assert!(!export.is_idle(), "nothing was unmapped: there may be no way to");
}

#[test]
fn a_byte_to_clear_goes_with_its_index() {
    let pair = pair();
    let export = pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite);
    let export = export.unwrap();
    let grants = offer(ALICE, &export);
    let bob = pair.bob.gntdev.open().unwrap();
    let index = bob.map_grant_ref(&grants).unwrap();
    let notify = UnmapNotify { action: CLEAR_BYTE, ..UnmapNotify::default() };
    bob.set_unmap_notify(index + 4096, notify).unwrap();
    // The second index goes, and comes back for somebody who asked for nothing.
    bob.unmap_grant_ref(index + 4096, 1).unwrap();
    assert_eq!(bob.map_grant_ref(&grants[1..]), Ok(index + 4096));
    export.write(4096, &[1]).unwrap();
    drop(bob.mmap::<ReadWrite>(index, 2, true).unwrap());
    assert_eq!(byte(&export, 4096), 1);
}

#[test]
fn an_exports_byte_is_counted_from_its_own_start() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    let [first, second] = [(); 2].map(|()| alloc.alloc(domid(BOB), 2, Access::ReadWrite).unwrap());
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &second)).unwrap().map::<ReadWrite>().unwrap();
    let notify = UnmapNotify { action: CLEAR_BYTE, ..UnmapNotify::default() };
    second.write(0, &[1; 8192]).unwrap();
    second.set_notify(5000, notify).unwrap();
    assert!(second.set_notify(8192, notify).is_err(), "outside the export");
    drop(first);
    second.release();
    let mut bytes = [0; 8192];
    mapping.read(0, &mut bytes).unwrap();
    let cleared: Vec<_> = (0..8192).filter(|at| bytes[*at] == 0).collect();
    assert_eq!(cleared, [5000]);
}

#[test]
fn an_index_that_was_removed_and_is_somebody_elses_does_not_delay_the_event() {
    let pair = pair();
    let (alice_port, bob_port) = channel(&pair);
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let index = bob.map_grant_ref(&offer(ALICE, &export)).unwrap();
    bob.unmap_grant_ref(index + 4096, 1).unwrap();
    assert_eq!(bob.map_grant_ref(&offer(ALICE, &export)[..1]), Ok(index + 4096));
    // Only now: one index of the two is left to wait for.
    bob.set_unmap_notify(index, both(&bob_port)).unwrap();
    bob.unmap_grant_ref(index, 1).unwrap();
    assert_eq!(events(&pair, &alice_port), 1);
}
