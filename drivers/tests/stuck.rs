// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that Xen refuses to unmap: kept, counted and charged, retried, and finally gone.

mod common;

use std::collections::BTreeSet;

use common::{errno, events, zeroes};
use drivers::gntdev::{IndexDevice, Mapping, ReadWrite, Usage};
use drivers::notify::{NotifyRequest, SEND_EVENT, UnmapNotify};
use drivers::shared::SharedMut;
use drivers::{Access, Call, ClaimedGrant, Errno, Index, Pages};
use embassy_futures::select::select;
use fake_xen::{FakeXen, Fault, Pair, Task};
use xen_sys::grant_table::GrantStatus;

/// Makes Xen refuse all of Bob's unmaps, or stop refusing.
fn refuse(pair: &Pair, refuses: bool) {
    pair.bob.xen.deny(Call::GnttabUnmap, refuses.then_some(Errno::EFAULT));
}

/// Opens an index device and maps `grants`.
fn map_by_index(pair: &Pair, grants: &[ClaimedGrant]) -> (IndexDevice<FakeXen>, usize) {
    let device = pair.bob.gntdev.open_indexed().unwrap();
    let index = device.map_grant_ref(grants).unwrap();
    let pages = Pages(grants.len() as u32);
    let addr = device.mmap(index, pages, true, Access::ReadWrite).unwrap();
    (device, addr)
}

fn stuck(pair: &Pair) -> u32 {
    pair.bob.gntdev.usage().stuck
}

#[test]
fn while_xen_unmaps_nothing_pages_are_kept_and_counted_and_then_they_go() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 6);
    let grants = pair.alice.offer(&export);
    let typed: Mapping<_, ReadWrite> = pair.bob.map(&grants[..3]);
    let (closed, _) = map_by_index(&pair, &grants[3..5]);
    let (open, addr) = map_by_index(&pair, &grants[5..]);
    refuse(&pair, true);
    assert_eq!(errno(typed.unmap()), Errno::EFAULT);
    drop(closed);
    assert_eq!(errno(open.munmap_and_remove(addr, Pages(1))), Errno::EFAULT);
    let all = Usage { reserved: 6, mapped: 0, stuck: 6 };
    for _ in 0..5 {
        pair.bob.gntdev.retry_stuck();
        assert_eq!(pair.bob.gntdev.usage(), all);
    }
    assert_eq!(export.release(), Pages(6), "the granter sees them mapped");
    // Meanwhile the service keeps working.
    let other = pair.alice.share(&pair.bob, 1);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&other));
    assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 7, mapped: 1, stuck: 6 });
    refuse(&pair, false);
    pair.bob.gntdev.retry_stuck();
    assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 1, mapped: 1, stuck: 0 });
    assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 6);
    drop((mapping, other, open));
    pair.assert_clean();
}

#[test]
fn pages_left_mapped_by_a_failed_map_count_as_stuck_until_unmapped() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let grants = pair.alice.offer(&export);
    let device = pair.bob.gntdev.open().unwrap();
    let before = pair.bob.gntdev.usage();
    for again in [true, false] {
        let status = GrantStatus::GENERAL_ERROR;
        pair.bob.xen.inject(Call::GnttabMap, Fault::Status { at: 1, status });
        refuse(&pair, true);
        let failed = device.reserve(&grants).unwrap().map::<ReadWrite>().unwrap_err();
        assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 3, mapped: 0, stuck: 2 });
        let failed = failed.value.map::<ReadWrite>().unwrap_err();
        assert_eq!(stuck(&pair), 2, "it is still refused");
        pair.bob.gntdev.retry_stuck();
        assert_eq!(stuck(&pair), 2, "the reservation is its holder's");
        if again {
            refuse(&pair, false);
            let mapping = failed.value.map::<ReadWrite>().unwrap();
            assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 3, mapped: 3, stuck: 0 });
            drop(mapping);
        } else {
            drop(failed);
            assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 3, mapped: 0, stuck: 2 });
            refuse(&pair, false);
            pair.bob.gntdev.retry_stuck();
        }
        assert_eq!(pair.bob.gntdev.usage(), before);
    }
    drop((device, export));
    pair.assert_clean();
}

#[test]
fn any_later_call_of_the_service_retries() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let grants = pair.alice.offer(&export);
    let device = pair.bob.gntdev.open().unwrap();
    let reserved = device.reserve(&grants).unwrap();
    for call in 0..2 {
        let mapping = pair.bob.map::<ReadWrite>(&grants);
        refuse(&pair, true);
        drop(mapping);
        assert_eq!(stuck(&pair), 2);
        refuse(&pair, false);
        if call == 0 {
            drop(device.reserve(&grants).unwrap());
        } else {
            drop(pair.bob.map::<ReadWrite>(&grants));
        }
        assert_eq!(stuck(&pair), 0, "call {call}");
    }
    drop(reserved);
}

#[test]
fn stuck_pages_are_charged_to_the_device_they_were_mapped_in() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let grants = pair.alice.offer(&export);
    let (device, other) = (pair.bob.gntdev.open().unwrap(), pair.bob.gntdev.open().unwrap());
    device.set_max_grants(4).unwrap();
    let mapping = device.reserve(&grants).unwrap().map::<ReadWrite>().unwrap();
    refuse(&pair, true);
    drop(mapping);
    for _ in 0..3 {
        assert_eq!(errno(device.reserve(&grants[..2])), Errno::ENOMEM);
        drop(device.reserve(&grants[..1]).expect("room for one is left"));
        drop(other.reserve(&grants).expect("another device's room"));
        assert_eq!(errno(device.set_max_grants(9)), Errno::EBUSY);
    }
    refuse(&pair, false);
    let grants = [grants[0]; 4];
    drop(device.reserve(&grants).expect("all of its room is free again"));
    device.set_max_grants(9).unwrap();
    assert_eq!(device.limit(), 9);
}

#[test]
fn a_device_dropped_before_its_stuck_pages_affects_no_other_device() {
    let pair = Pair::new();
    pair.bob.gntdev.set_limit(3).unwrap();
    let export = pair.alice.share(&pair.bob, 3);
    let grants = pair.alice.offer(&export);
    let device = pair.bob.gntdev.open().unwrap();
    let mapping = device.reserve(&grants).unwrap().map::<ReadWrite>().unwrap();
    refuse(&pair, true);
    drop((device, mapping));
    let next = pair.bob.gntdev.open().unwrap();
    let kept = next.reserve(&grants).expect("room of its own");
    refuse(&pair, false);
    pair.bob.gntdev.retry_stuck();
    assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 3, mapped: 0, stuck: 0 });
    assert_eq!((next.limit(), errno(next.reserve(&grants[..1]))), (3, Errno::ENOMEM));
    drop(kept);
    drop(next.reserve(&grants).unwrap());
    drop((next, export));
    pair.assert_clean();
}

#[test]
fn closed_devices_go_as_soon_as_their_pages_are_unmapped() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let grants = pair.alice.offer(&export);
    let typed = pair.bob.map::<ReadWrite>(&grants);
    let devices: Vec<_> = grants.iter().map(|it| map_by_index(&pair, &[*it])).collect();
    refuse(&pair, true);
    drop(devices);
    refuse(&pair, false);
    pair.bob.gntdev.retry_stuck();
    assert_eq!(stuck(&pair), 0);
    drop((typed, export));
    // Their address space is released, too.
    pair.assert_clean();
}

#[test]
fn a_byte_is_cleared_at_the_first_try_and_the_event_comes_when_it_is_gone() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 2);
    export.write(0, &[1; 8192]).unwrap();
    let mut mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    mapping.set_notify(UnmapNotify::clear_byte(4097).and_event(&bob_port)).unwrap();
    refuse(&pair, true);
    drop(mapping);
    assert_eq!((zeroes(&export), events(&pair, &alice_port)), (vec![4097], 0));
    export.write(0, &[1; 8192]).unwrap();
    pair.bob.last_words();
    let said = events(&pair, &alice_port);
    assert_eq!((zeroes(&export), said), (vec![], 1), "nobody reads there, but they are mapped");
    refuse(&pair, false);
    pair.bob.gntdev.retry_stuck();
    pair.bob.gntdev.retry_stuck();
    assert_eq!((zeroes(&export), events(&pair, &alice_port)), (vec![], said + 1), "once");
}

#[test]
fn a_page_that_stays_stuck_does_not_hold_up_the_others() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 8);
    let mappings: Vec<_> = pair
        .alice
        .offer(&export)
        .iter()
        .map(|grant| pair.bob.map::<ReadWrite>(&[*grant]))
        .collect();
    refuse(&pair, true);
    drop(mappings);
    refuse(&pair, false);
    for (round, left) in [1, 1, 1, 0].into_iter().enumerate() {
        if left > 0 {
            let status = GrantStatus::GENERAL_ERROR;
            pair.bob.xen.inject(Call::GnttabUnmap, Fault::Status { at: 0, status });
        }
        pair.bob.gntdev.retry_stuck();
        assert_eq!(stuck(&pair), left, "round {round}");
    }
    drop(export);
    pair.assert_clean();
}

#[test]
fn a_hundred_regions_get_stuck_one_after_the_other_and_all_go_together() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let grant = pair.alice.offer(&export)[0];
    let regions = if cfg!(miri) { 8 } else { 100 };
    refuse(&pair, true);
    let mut addrs = BTreeSet::new();
    for number in 1..=regions {
        let mapping = pair.bob.map::<ReadWrite>(&[grant]);
        assert!(addrs.insert(mapping.addr()), "an address in use was given out");
        drop(mapping);
        assert_eq!(stuck(&pair), number);
    }
    refuse(&pair, false);
    pair.bob.gntdev.retry_stuck();
    assert_eq!(pair.bob.gntdev.usage(), Usage::default());
    drop(export);
    pair.assert_clean();
}

#[test]
fn retrying_a_refused_munmap_is_refused_and_finds_nothing_there() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let (device, addr) = map_by_index(&pair, &pair.alice.offer(&export));
    let middle = addr + 4096;
    let fault = Fault::Status { at: 1, status: GrantStatus::GENERAL_ERROR };
    for recovered in [false, true] {
        pair.bob.xen.inject(Call::GnttabUnmap, fault);
        assert_eq!(errno(device.munmap(addr, Pages(3))), Errno::EINVAL);
        if recovered {
            pair.bob.gntdev.retry_stuck();
            assert_eq!(device.usage(), Usage { reserved: 3, mapped: 0, stuck: 0 });
        }
        for at in [addr, middle, addr + 8192] {
            assert_eq!(errno(device.munmap(at, Pages(3))), Errno::EINVAL);
            assert_eq!(errno(device.munmap_and_remove(at, Pages(1))), Errno::EINVAL);
            assert_eq!(errno(device.get_offset_for_vaddr(at)), Errno::EFAULT);
            assert_eq!(errno(device.read(at, &mut [0])), Errno::EFAULT);
        }
        let again = device.mmap(Index(0), Pages(3), true, Access::ReadWrite).unwrap();
        assert_eq!(again, addr, "the same indices, mapped again");
        assert_eq!(device.get_offset_for_vaddr(addr), Ok((Index(0), Pages(3))));
    }
    device.munmap_and_remove(addr, Pages(3)).unwrap();
    drop((device, export));
    pair.assert_clean();
}

#[test]
fn the_upkeep_retries_by_itself_and_runs_no_timer_before() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let grants = pair.alice.offer(&export);
    let typed: Mapping<_, ReadWrite> = pair.bob.map(&grants[..1]);
    let (device, addr) = map_by_index(&pair, &grants[1..2]);
    let (closed, _) = map_by_index(&pair, &grants[2..]);
    let beside = async {
        let system = &pair.bob.system;
        system.sleep_until(system.now() + 10_000_000_000).await;
        assert_eq!(pair.world.now(), 10_000_000_000);
        refuse(&pair, true);
        assert_eq!(errno(typed.unmap()), Errno::EFAULT);
        assert_eq!(errno(device.munmap(addr, Pages(1))), Errno::EFAULT);
        drop(closed);
        system.sleep_until(system.now() + 350_000_000).await;
        assert_eq!(stuck(&pair), 3);
        refuse(&pair, false);
        system.sleep_until(system.now() + 150_000_000).await;
        assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 1, mapped: 0, stuck: 0 });
    };
    let both = async {
        select(pair.bob.upkeep(), beside).await;
    };
    pair.world.run([Task::new(&pair.bob.events, both)]);
    drop((device, export));
    pair.assert_clean();
}

#[test]
fn a_page_that_was_stuck_still_belongs_to_its_reservation() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let (alices, bobs) = pair.alice.channel(&pair.bob);
    let device = pair.bob.gntdev.open_indexed().unwrap();
    device.map_grant_ref(&[ClaimedGrant::new(1, 8); 2]).unwrap();
    let first = device.map_grant_ref(&pair.alice.offer(&export)).unwrap();
    let addr = device.mmap(first, Pages(3), true, Access::ReadWrite).unwrap();
    refuse(&pair, true);
    assert_eq!(errno(device.munmap(addr, Pages(3))), Errno::EFAULT);
    refuse(&pair, false);
    pair.bob.gntdev.retry_stuck();
    let request = NotifyRequest { action: SEND_EVENT, port: bobs.number() };
    device.set_unmap_notify(first, request).unwrap();
    let before = events(&pair, &alices);
    for (page, sent) in [(0, 0), (1, 0), (2, 1)] {
        let index = Index::of_page(first.page() + page);
        device.unmap_grant_ref(index, Pages(1)).unwrap();
        assert_eq!(events(&pair, &alices), before + sent, "page {page}");
    }
}
