// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a granter's calls leave behind: room, notices and references, whether they succeed or fail.

mod common;

use common::{BOB, domid, errno};
use drivers::gntdev::ReadWrite;
use drivers::notify::{CLEAR_BYTE, NotifyRequest, SEND_EVENT, UnmapNotify};
use drivers::shared::SharedMut;
use drivers::{
    Access, Call, ClaimedGrant, Errno, GrantRef, GrantStatus, Index, Limits, Pages, Services,
};
use fake_xen::heap::{self, Heap};
use fake_xen::{Config, Fault, Pair, World};

#[global_allocator]
static HEAP: Heap = Heap;

/// Returns all references, and whether each is parked.
fn parked(pair: &Pair) -> Vec<(GrantRef, bool)> {
    let mut all = Vec::new();
    pair.alice.gntalloc.for_each(|info| all.push((info.gref, info.parked)));
    all
}

#[test]
fn an_export_of_no_pages_is_refused() {
    let pair = Pair::new();
    let none = pair.alice.gntalloc.open().alloc(domid(BOB), Pages(0), Access::ReadWrite);
    assert_eq!(errno(none), Errno::EINVAL);
    assert_eq!(pair.alice.gntalloc.in_use(), 0);
}

#[test]
fn allocating_and_freeing_pages_by_index_allocates_the_same_every_time() {
    let pair = Pair::new();
    let device = pair.alice.gntalloc.open_indexed().unwrap();
    let cycle = || {
        heap::requests(|| {
            let index = device.alloc_gref(BOB, 1, &mut [GrantRef(0); 5]).unwrap();
            device.dealloc_gref(index, Pages(5)).unwrap();
        })
    };
    // An empty index space holds no memory, and neither does an empty parking queue.
    let first = cycle();
    assert!(first > 2, "the heap counts");
    assert_eq!([cycle(), cycle()], [first; 2]);
    // Allocating the fourth page fails.
    pair.alice.xen.fail_page_after(3);
    let failed = device.alloc_gref(BOB, 1, &mut [GrantRef(0); 5]);
    assert_eq!(errno(failed), Errno::ENOMEM);
    assert_eq!([cycle(), cycle(), cycle()], [first; 3]);
    pair.assert_clean();
}

#[test]
fn a_page_by_index_that_the_peer_maps_is_listed_as_parked_once_deallocated() {
    let pair = Pair::new();
    let device = pair.alice.gntalloc.open_indexed().unwrap();
    let mut grefs = [GrantRef(0); 2];
    let index = device.alloc_gref(BOB, 1, &mut grefs).unwrap();
    let mapping = pair.bob.map::<ReadWrite>(&[pair.alice.domid.grant(grefs[1])]);
    assert_eq!(parked(&pair), [(grefs[0], false), (grefs[1], false)]);
    device.dealloc_gref(index, Pages(2)).unwrap();
    assert_eq!(parked(&pair), [(grefs[1], true)]);
    drop(mapping);
    assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 1);
    pair.assert_clean();
}

#[test]
fn references_are_written_only_by_a_call_that_succeeds() {
    for refused in 0.. {
        let pair = Pair::new();
        let device = pair.alice.gntalloc.open_indexed().unwrap();
        let mut grefs = [GrantRef(77); 3];
        let (result, was_refused) =
            heap::refuse(refused, || device.alloc_gref(BOB, 1, &mut grefs).map(drop));
        if !was_refused {
            assert!(refused > 1 && result.is_ok());
            return;
        }
        assert_eq!(errno(result), Errno::ENOMEM);
        assert_eq!(grefs, [GrantRef(77); 3], "request {refused}");
    }
}

#[test]
fn closing_a_device_by_index_clears_the_byte_and_sends_the_event_though_the_peer_maps_the_page() {
    let pair = Pair::new();
    let (port, _bobs) = pair.alice.channel(&pair.bob);
    let device = pair.alice.gntalloc.open_indexed().unwrap();
    let mut grefs = [GrantRef(0)];
    let index = device.alloc_gref(BOB, 1, &mut grefs).unwrap();
    let request = NotifyRequest { action: CLEAR_BYTE | SEND_EVENT, port: port.number() };
    device.set_unmap_notify(Index(index.0 + 9), request).unwrap();
    let mapping = pair.bob.map::<ReadWrite>(&[pair.alice.domid.grant(grefs[0])]);
    mapping.write(8, &[1, 1, 1]).unwrap();
    let sent = || pair.alice.system.counters().calls(Call::EvtchnSend);
    let before = sent();
    drop(device);
    assert_eq!(sent() - before, 1);
    assert_eq!(common::bytes(&mapping, 8), [1, 0, 1]);
}

#[test]
fn reaping_tries_the_given_number_of_pages() {
    let pair = Pair::new();
    let device = pair.alice.gntalloc.open_indexed().unwrap();
    let mut grefs = [GrantRef(0); 4];
    let index = device.alloc_gref(BOB, 1, &mut grefs).unwrap();
    let claims: Vec<ClaimedGrant> =
        grefs.iter().map(|gref| pair.alice.domid.grant(*gref)).collect();
    let mut mappings: Vec<_> =
        claims.chunks(1).map(|claim| Some(pair.bob.map::<ReadWrite>(claim))).collect();
    device.dealloc_gref(index, Pages(4)).unwrap();
    for mapping in &mut mappings[1..] {
        *mapping = None;
    }
    // The first page is still mapped, and trying it counts as one of the two.
    assert_eq!(pair.alice.gntalloc.reap(2), 1);
    assert_eq!(pair.alice.gntalloc.reap(1), 1);
    assert_eq!(pair.alice.gntalloc.reap(1), 1);
    assert_eq!(pair.alice.gntalloc.reap(9), 0);
    mappings.clear();
    assert_eq!(pair.alice.gntalloc.reap(9), 1);
    pair.assert_clean();
}

#[test]
fn a_notice_that_is_replaced_or_whose_export_ends_releases_its_port() {
    let pair = Pair::new();
    let before = pair.alice.events.open_ports();
    let [first, second] = [(); 2].map(|()| pair.alice.channel(&pair.bob));
    let mut export = pair.alice.share(&pair.bob, 2);
    export.set_notify(UnmapNotify::event(&first.0)).unwrap();
    export.set_notify(UnmapNotify::event(&second.0).and_event(&second.0)).unwrap();
    drop((first, second));
    // Only the port that is still to be sent through is held.
    assert_eq!(pair.alice.events.open_ports(), before + 1);
    export.end().unwrap();
    assert_eq!(pair.alice.events.open_ports(), before);
    // No event is sent any more.
    let sent = pair.alice.system.counters().calls(Call::EvtchnSend);
    pair.alice.last_words();
    assert_eq!(pair.alice.system.counters().calls(Call::EvtchnSend), sent);
}

#[test]
fn a_grant_table_whose_size_xen_does_not_report_is_refused() {
    let world = World::new();
    let xen = world.domain(1, Config::default());
    xen.inject(Call::GnttabQuerySize, Fault::Untouched { at: 0 });
    let error = Services::bring_up(xen.boot(), Limits::default()).expect_err("no size is known");
    assert_eq!(
        (error.step, error.error.status()),
        ("grant table", Some(GrantStatus::GENERAL_ERROR))
    );
}
