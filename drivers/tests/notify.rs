// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unmap notification on both devices: what is cleared, what is sent, and when.

mod common;

use common::{bytes, errno, events, zeroes};
use drivers::events::Port;
use drivers::gntdev::{IndexDevice, ReadOnly, ReadWrite};
use drivers::notify::{CLEAR_BYTE, NotifyRequest, SEND_EVENT, UnmapNotify};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, Errno, Index, Pages};
use fake_xen::{FakeXen, Pair};

/// Requests a cleared byte and an event, for a typed device.
fn both(byte: usize, port: &Port<FakeXen>) -> UnmapNotify {
    UnmapNotify::clear_byte(byte).and_event(port)
}

/// The same for an index device.
fn request(port: &Port<FakeXen>) -> NotifyRequest {
    NotifyRequest { action: CLEAR_BYTE | SEND_EVENT, port: port.number() }
}

fn open(pair: &Pair) -> IndexDevice<FakeXen> {
    pair.bob.gntdev.open_indexed().unwrap()
}

fn byte(shared: &impl Shared, offset: usize) -> u8 {
    bytes::<1>(shared, offset)[0]
}

/// Returns the index `pages` pages further on.
fn after(index: Index, pages: u64) -> Index {
    Index::of_page(index.page() + pages)
}

#[test]
fn a_mapper_that_lets_go_clears_its_byte_and_rings_the_granter_once() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 2);
    let mut mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    mapping.set_notify(both(4100, &bob_port)).unwrap();
    export.write(4099, &[1, 1, 1]).unwrap();
    let sends = || pair.bob.system.counters().calls(Call::EvtchnSend);
    let before = sends();
    drop(mapping);
    assert_eq!(sends(), before + 1);
    assert_eq!(events(&pair, &alice_port), 1);
    assert_eq!(bytes(&export, 4099), [1, 0, 1], "one byte");
}

#[test]
fn unmapping_clears_the_byte_and_removing_sends_the_event() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 2);
    let mut reservation = pair.bob.reserve(&pair.alice.offer(&export));
    reservation.set_notify(both(0, &bob_port)).unwrap();
    export.write(0, &[1]).unwrap();
    let reservation = reservation.map::<ReadWrite>().unwrap().unmap().unwrap();
    assert_eq!((byte(&export, 0), events(&pair, &alice_port)), (0, 0));
    export.write(0, &[1]).unwrap();
    let reservation = reservation.map::<ReadWrite>().unwrap().unmap().unwrap();
    assert_eq!(byte(&export, 0), 1, "cleared once only");
    drop(reservation);
    assert_eq!(events(&pair, &alice_port), 1);
}

#[test]
fn the_event_of_a_reservation_removed_piece_by_piece_comes_with_the_last_piece() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 4);
    let grants = pair.alice.offer(&export);
    let bob = open(&pair);
    let index = bob.map_grant_ref(&grants).unwrap();
    bob.set_unmap_notify(index, request(&bob_port)).unwrap();
    for page in [1, 0, 3] {
        bob.unmap_grant_ref(after(index, page), Pages(1)).unwrap();
        // Another reservation in its place doesn't matter.
        bob.map_grant_ref(&grants[..1]).unwrap();
        assert_eq!(events(&pair, &alice_port), 0);
    }
    bob.unmap_grant_ref(after(index, 2), Pages(1)).unwrap();
    assert_eq!(events(&pair, &alice_port), 1);
}

#[test]
fn a_later_request_replaces_an_earlier_one() {
    let pair = Pair::new();
    let (first_alice, first_bob) = pair.alice.channel(&pair.bob);
    let (second_alice, second_bob) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 2);
    let mut mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    export.write(0, &[1]).unwrap();
    export.write(5000, &[1]).unwrap();
    mapping.set_notify(both(0, &first_bob)).unwrap();
    mapping.set_notify(both(5000, &second_bob)).unwrap();
    drop(mapping);
    assert_eq!((byte(&export, 0), byte(&export, 5000)), (1, 0));
    assert_eq!((events(&pair, &first_alice), events(&pair, &second_alice)), (0, 1));
}

#[test]
fn an_action_of_0_takes_a_request_back() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 1);
    let grants = pair.alice.offer(&export);
    export.write(0, &[1]).unwrap();
    let mut mapping = pair.bob.map::<ReadWrite>(&grants);
    mapping.set_notify(both(0, &bob_port)).unwrap();
    mapping.set_notify(UnmapNotify::NONE).unwrap();
    drop(mapping);
    let bob = open(&pair);
    let index = bob.map_grant_ref(&grants).unwrap();
    bob.set_unmap_notify(index, request(&bob_port)).unwrap();
    bob.set_unmap_notify(index, NotifyRequest::default()).unwrap();
    bob.mmap(index, Pages(1), true, Access::ReadWrite).unwrap();
    drop(bob);
    assert_eq!((byte(&export, 0), events(&pair, &alice_port)), (1, 0));
}

#[test]
fn a_page_that_was_mapped_read_only_afterwards_keeps_its_byte() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 1);
    let grants = pair.alice.offer(&export);
    export.write(0, &[1]).unwrap();
    let mut reservation = pair.bob.reserve(&grants);
    reservation.set_notify(both(0, &bob_port)).unwrap();
    drop(reservation.map::<ReadOnly>().unwrap());
    assert_eq!((byte(&export, 0), events(&pair, &alice_port)), (1, 1));
    let bob = open(&pair);
    let index = bob.map_grant_ref(&grants).unwrap();
    bob.set_unmap_notify(index, request(&bob_port)).unwrap();
    bob.mmap(index, Pages(1), true, Access::ReadOnly).unwrap();
    drop(bob);
    assert_eq!((byte(&export, 0), events(&pair, &alice_port)), (1, 2));
}

#[test]
fn a_byte_asked_for_once_is_not_cleared_by_the_unmap_after_a_read_only_one() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let grants = pair.alice.offer(&export);
    export.write(0, &[1]).unwrap();
    let mut reservation = pair.bob.reserve(&grants);
    reservation.set_notify(UnmapNotify::clear_byte(0)).unwrap();
    let reservation = reservation.map::<ReadOnly>().unwrap().unmap().unwrap();
    drop(reservation.map::<ReadWrite>().unwrap());
    let bob = open(&pair);
    let index = bob.map_grant_ref(&grants).unwrap();
    bob.set_unmap_notify(index, NotifyRequest { action: CLEAR_BYTE, ..Default::default() })
        .unwrap();
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let addr = bob.mmap(index, Pages(1), true, access).unwrap();
        bob.munmap(addr, Pages(1)).unwrap();
    }
    assert_eq!(byte(&export, 0), 1, "its unmap was the read-only one, on both devices");
}

#[test]
#[cfg_attr(miri, ignore = "many channels and bytes take long")]
fn a_byte_can_be_requested_again_after_each_unmap() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 1);
    let mut reservation = pair.bob.reserve(&pair.alice.offer(&export));
    for offset in [0, 4095, 17] {
        export.write(0, &[1; 4096]).unwrap();
        reservation.set_notify(both(offset, &bob_port)).unwrap();
        reservation = reservation.map::<ReadOnly>().unwrap().unmap().unwrap();
        assert_eq!(zeroes(&export), [], "read-only");
        let mut mapping = reservation.map::<ReadWrite>().unwrap();
        mapping.set_notify(both(offset, &bob_port)).unwrap();
        reservation = mapping.unmap().unwrap();
        assert_eq!(zeroes(&export), [offset]);
        let mut mapping = reservation.map::<ReadOnly>().unwrap();
        let refused = mapping.set_notify(UnmapNotify::clear_byte(0));
        assert_eq!(errno(refused), Errno::EINVAL, "can't be written");
        reservation = mapping.unmap().unwrap();
    }
    assert_eq!(events(&pair, &alice_port), 0);
    drop(reservation);
    assert_eq!(events(&pair, &alice_port), 1);
}

#[test]
fn closing_a_device_with_a_live_reservation_by_index_rings() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 1);
    let bob = open(&pair);
    let index = bob.map_grant_ref(&pair.alice.offer(&export)).unwrap();
    bob.set_unmap_notify(index, request(&bob_port)).unwrap();
    drop(bob);
    assert_eq!(events(&pair, &alice_port), 1);
}

#[test]
fn a_granter_that_lets_go_tells_a_peer_that_still_maps_the_page() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let before = events(&pair, &bob_port);
    let mut export = pair.alice.share(&pair.bob, 2);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    export.write(4096 + 7, &[1]).unwrap();
    export.set_notify(both(4096 + 7, &alice_port)).unwrap();
    assert_eq!(export.release(), Pages(2));
    assert_eq!((byte(&mapping, 4096 + 7), events(&pair, &bob_port)), (0, before + 1));
    mapping.write(4096 + 7, &[1]).unwrap();
    assert_eq!(pair.alice.gntalloc.reap(9), 0);
    assert_eq!((byte(&mapping, 4096 + 7), events(&pair, &bob_port)), (1, before + 1), "once");
}

#[test]
fn an_export_that_ends_sends_its_event_once() {
    for pages in [1, 3] {
        let pair = Pair::new();
        let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
        let before = events(&pair, &bob_port);
        let mut export = pair.alice.share(&pair.bob, pages);
        export.set_notify(both(7, &alice_port)).unwrap();
        export.end().unwrap();
        assert_eq!(events(&pair, &bob_port), before + 1);
        drop((alice_port, bob_port));
        pair.assert_clean();
    }
}

#[test]
fn a_port_stays_open_for_the_event_it_was_promised_for() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 1);
    let mut mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    mapping.set_notify(both(0, &bob_port)).unwrap();
    let (open, closes) = (pair.bob.events.open_ports(), Call::EvtchnClose);
    drop(bob_port);
    assert_eq!(pair.bob.events.open_ports(), open, "the request holds it");
    let before = pair.bob.system.counters().calls(closes);
    drop(mapping);
    assert_eq!(events(&pair, &alice_port), 1);
    assert_eq!(pair.bob.system.counters().calls(closes), before + 1, "and then releases it");
}

#[test]
fn a_guest_that_crashes_says_its_last_words_on_both_devices() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let before = events(&pair, &bob_port);
    let mut export = pair.alice.share(&pair.bob, 1);
    let mut mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    export.write(0, &[1, 1]).unwrap();
    export.set_notify(both(0, &alice_port)).unwrap();
    mapping.set_notify(both(1, &bob_port)).unwrap();
    pair.alice.last_words();
    assert_eq!((byte(&mapping, 0), events(&pair, &bob_port)), (0, before + 1));
    pair.bob.last_words();
    assert_eq!((byte(&export, 1), events(&pair, &alice_port)), (0, 1));
    assert!(!export.is_idle(), "nothing was unmapped: there may be no way to");
}

#[test]
#[cfg_attr(miri, ignore = "many channels and bytes take long")]
fn last_words_cover_every_live_value_and_index_and_no_dropped_one() {
    let pair = Pair::new();
    let channels: Vec<_> = (0..5).map(|_| pair.alice.channel(&pair.bob)).collect();
    let port = |number: usize| &channels[number].1;
    let export = pair.alice.share(&pair.bob, 6);
    let grants = pair.alice.offer(&export);
    export.write(0, &[1; 6 * 4096]).unwrap();
    // Mapped through types, writable and read-only; reserved but not mapped; mapped by index; and
    // one that is gone.
    let mut writable = pair.bob.map::<ReadWrite>(&grants[..2]);
    writable.set_notify(both(4097, port(0))).unwrap();
    let mut read_only = pair.bob.reserve(&grants[2..3]);
    read_only.set_notify(both(5, port(1))).unwrap();
    let read_only = read_only.map::<ReadOnly>().unwrap();
    let mut reserved = pair.bob.reserve(&grants[3..4]);
    reserved.set_notify(both(5, port(2))).unwrap();
    let bob = open(&pair);
    let index = bob.map_grant_ref(&grants[4..5]).unwrap();
    bob.mmap(index, Pages(1), true, Access::ReadWrite).unwrap();
    bob.set_unmap_notify(Index(index.0 + 6), request(port(3))).unwrap();
    let mut gone = pair.bob.map::<ReadWrite>(&grants[5..]);
    gone.set_notify(UnmapNotify::event(port(4))).unwrap();
    drop(gone);
    pair.bob.last_words();
    assert_eq!(zeroes(&export), [4097, 4 * 4096 + 6]);
    let rung: Vec<_> = channels.iter().map(|(alice, _)| events(&pair, alice)).collect();
    assert_eq!(rung, [1, 1, 1, 1, 1]);
    pair.bob.last_words();
    let rung: Vec<_> = channels.iter().map(|(alice, _)| events(&pair, alice)).collect();
    assert_eq!(rung, [2, 2, 2, 2, 1], "live ones repeat it");
    // And a guest that doesn't end after all can go on.
    drop((writable, read_only, reserved, bob, channels, export));
    pair.assert_clean();
}

#[test]
fn a_granter_that_crashes_clears_bytes_of_exports_and_indices_and_not_of_parked_pages() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let before = events(&pair, &bob_port);
    let [mut live, mut parked] = [1, 1].map(|pages| pair.alice.share(&pair.bob, pages));
    let mappings =
        [&live, &parked].map(|export| pair.bob.map::<ReadWrite>(&pair.alice.offer(export)));
    live.set_notify(both(9, &alice_port)).unwrap();
    parked.set_notify(both(9, &alice_port)).unwrap();
    assert_eq!(parked.release(), Pages(1));
    assert_eq!(events(&pair, &bob_port), before + 1, "it was sent at the release");
    mappings.iter().for_each(|mapping| mapping.write(0, &[1; 4096]).unwrap());
    let device = pair.alice.gntalloc.open_indexed().unwrap();
    device.alloc_gref(2, 0, &mut [drivers::GrantRef(0)]).unwrap();
    device.set_unmap_notify(Index(3), request(&alice_port)).unwrap();
    let local = device.mmap(Index(0), Pages(1), true).unwrap();
    local.write(0, &[1; 4096]).unwrap();
    pair.alice.last_words();
    assert_eq!([zeroes(&mappings[0]), zeroes(&mappings[1])], [vec![9], vec![]]);
    assert_eq!(zeroes(&local), [3]);
}

#[test]
fn a_byte_to_clear_goes_with_its_index() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let grants = pair.alice.offer(&export);
    let bob = open(&pair);
    let index = bob.map_grant_ref(&grants).unwrap();
    let next = after(index, 1);
    let clear = NotifyRequest { action: CLEAR_BYTE, ..NotifyRequest::default() };
    bob.set_unmap_notify(next, clear).unwrap();
    // The second index is removed, and then reserved again without a notification.
    bob.unmap_grant_ref(next, Pages(1)).unwrap();
    assert_eq!(bob.map_grant_ref(&grants[1..]), Ok(next));
    export.write(4096, &[1]).unwrap();
    let addr = bob.mmap(index, Pages(2), true, Access::ReadWrite).unwrap();
    bob.munmap(addr, Pages(2)).unwrap();
    assert_eq!(byte(&export, 4096), 1);
}

#[test]
fn an_exports_byte_is_counted_from_its_own_start() {
    let pair = Pair::new();
    let [first, mut second] = [2, 2].map(|pages| pair.alice.share(&pair.bob, pages));
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&second));
    second.write(0, &[1; 8192]).unwrap();
    second.set_notify(UnmapNotify::clear_byte(5000)).unwrap();
    for outside in [8192, usize::MAX] {
        let refused = second.set_notify(UnmapNotify::clear_byte(outside));
        assert_eq!(errno(refused), Errno::EINVAL, "{outside}");
    }
    drop(first);
    second.release();
    assert_eq!(zeroes(&mapping), [5000]);
}

#[test]
fn a_later_request_for_another_page_of_an_export_replaces_the_first() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let before = events(&pair, &bob_port);
    let mut export = pair.alice.share(&pair.bob, 3);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    export.write(0, &[1; 3 * 4096]).unwrap();
    for page in [1, 2, 0, 1] {
        export.set_notify(both(page * 4096 + 8, &alice_port)).unwrap();
    }
    export.release();
    assert_eq!((zeroes(&mapping), events(&pair, &bob_port)), (vec![4096 + 8], before + 1));
}

#[test]
fn an_index_that_was_removed_and_reused_does_not_delay_the_event() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 2);
    let grants = pair.alice.offer(&export);
    let bob = open(&pair);
    let index = bob.map_grant_ref(&grants).unwrap();
    let next = after(index, 1);
    bob.unmap_grant_ref(next, Pages(1)).unwrap();
    assert_eq!(bob.map_grant_ref(&grants[..1]), Ok(next));
    // Only now, with one index of the two left to wait for.
    bob.set_unmap_notify(index, request(&bob_port)).unwrap();
    bob.unmap_grant_ref(index, Pages(1)).unwrap();
    assert_eq!(events(&pair, &alice_port), 1);
}
