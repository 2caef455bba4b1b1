// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a mapper's calls by index change, and what they leave alone.

mod common;

use common::{bytes, errno};
use drivers::gntalloc::Export;
use drivers::gntdev::{IndexDevice, ReadWrite, Usage};
use drivers::notify::{CLEAR_BYTE, NotifyRequest, SEND_EVENT, UnmapNotify};
use drivers::shared::SharedMut;
use drivers::{Access, Call, Errno, Index, Pages, PeerState, PortNumber};
use fake_xen::{FakeXen, Fault, Pair, Task};

/// Clears the byte that the index selects.
const CLEAR: NotifyRequest = NotifyRequest { action: CLEAR_BYTE, port: PortNumber(0) };

/// Opens a device of Bob's and reserves the pages of each of Alice's exports in it.
fn reserved(pair: &Pair, exports: &[&Export<FakeXen>]) -> IndexDevice<FakeXen> {
    let device = pair.bob.gntdev.open_indexed().unwrap();
    for export in exports {
        device.map_grant_ref(&pair.alice.offer(export)).unwrap();
    }
    device
}

/// Returns the index of a byte of a page.
fn at(page: u64, byte: u64) -> Index {
    Index(page * 4096 + byte)
}

fn map(device: &IndexDevice<FakeXen>, page: u64, count: u32) -> usize {
    device.mmap(at(page, 0), Pages(count), true, Access::ReadWrite).unwrap()
}

fn sent(pair: &Pair) -> u64 {
    pair.bob.system.counters().calls(Call::EvtchnSend)
}

#[test]
fn one_unmap_across_reservations_clears_the_byte_of_each() {
    let pair = Pair::new();
    let exports = [1, 2, 1].map(|pages| pair.alice.share(&pair.bob, pages));
    let device = reserved(&pair, &[&exports[0], &exports[1], &exports[2]]);
    for page in [0, 2, 3] {
        device.set_unmap_notify(at(page, 5), CLEAR).unwrap();
    }
    let addr = map(&device, 0, 4);
    device.write(addr, &[1; 4 * 4096]).unwrap();
    device.munmap(addr, Pages(4)).unwrap();
    assert_eq!(common::zeroes(&exports[0]), [5]);
    assert_eq!(common::zeroes(&exports[1]), [4096 + 5]);
    assert_eq!(common::zeroes(&exports[2]), [5]);
}

#[test]
fn a_byte_waits_for_the_unmap_of_its_own_page() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let device = reserved(&pair, &[&export]);
    device.set_unmap_notify(at(1, 7), CLEAR).unwrap();
    let addr = map(&device, 0, 1);
    device.munmap(addr, Pages(1)).unwrap();
    export.write(4096 + 6, &[1; 3]).unwrap();
    let addr = map(&device, 1, 1);
    device.munmap(addr, Pages(1)).unwrap();
    assert_eq!(bytes(&export, 4096 + 6), [1, 0, 1]);
}

#[test]
fn the_event_of_a_partly_removed_reservation_comes_with_the_rest() {
    let pair = Pair::new();
    let (_alices, port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share(&pair.bob, 3);
    let device = reserved(&pair, &[&export]);
    device.unmap_grant_ref(at(0, 0), Pages(1)).unwrap();
    let before = sent(&pair);
    let request = NotifyRequest { action: SEND_EVENT, port: port.number() };
    device.set_unmap_notify(at(1, 0), request).unwrap();
    device.unmap_grant_ref(at(1, 0), Pages(1)).unwrap();
    assert_eq!(sent(&pair), before);
    device.unmap_grant_ref(at(2, 0), Pages(1)).unwrap();
    assert_eq!(sent(&pair), before + 1);
}

#[test]
fn closing_a_device_clears_the_bytes_of_its_mappings() {
    let pair = Pair::new();
    let exports = [1, 1].map(|pages| pair.alice.share(&pair.bob, pages));
    let device = reserved(&pair, &[&exports[0], &exports[1]]);
    for page in [0, 1] {
        device.set_unmap_notify(at(page, 8), CLEAR).unwrap();
        let addr = map(&device, page, 1);
        device.write(addr, &[1; 4096]).unwrap();
    }
    drop(device);
    assert_eq!(exports.map(|export| common::zeroes(&export)), [[8], [8]]);
}

#[test]
fn only_a_whole_mapping_is_unmapped() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 3);
    let device = reserved(&pair, &[&export]);
    let addr = map(&device, 0, 3);
    for (wrong, pages) in [(addr, 2), (addr, 4), (addr + 4096, 3), (addr + 4096, 2), (addr, 0)] {
        assert_eq!(errno(device.munmap(wrong, Pages(pages))), Errno::EINVAL);
        assert_eq!(errno(device.munmap_and_remove(wrong, Pages(pages))), Errno::EINVAL);
    }
    assert_eq!(pair.bob.gntdev.usage().mapped, 3);
    device.munmap(addr, Pages(3)).unwrap();
}

#[test]
fn a_read_only_mapping_is_not_written_and_a_private_one_is_no_different() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let device = reserved(&pair, &[&export]);
    let private = |access| device.mmap(at(0, 0), Pages(1), false, access);
    assert_eq!(errno(private(Access::ReadWrite)), Errno::EINVAL);
    let addr = private(Access::ReadOnly).unwrap();
    assert_eq!(errno(device.write(addr, &[1])), Errno::EFAULT);
    assert_eq!(errno(device.check(addr, 1, Access::ReadWrite)), Errno::EFAULT);
    assert_eq!(device.check(addr, 4096, Access::ReadOnly), Ok(()));
    assert_eq!(bytes(&export, 0), [0]);
}

#[test]
fn reserving_and_mapping_what_xen_refuses_reserves_and_notifies_nothing() {
    let pair = Pair::new();
    let (_alices, port) = pair.alice.channel(&pair.bob);
    let export = pair.alice.share_as(&pair.bob, 1, Access::ReadOnly);
    let device = reserved(&pair, &[]);
    let (before, open) = (sent(&pair), pair.bob.events.open_ports());
    let refused =
        device.map_grants(&pair.alice.offer(&export), Access::ReadWrite, UnmapNotify::event(&port));
    assert_eq!(errno(refused), Errno::EINVAL);
    assert_eq!(device.usage(), Usage::default());
    drop(device);
    assert_eq!((sent(&pair), pair.bob.events.open_ports()), (before, open));
}

#[test]
fn an_index_that_was_stuck_still_belongs_to_its_reservation() {
    let pair = Pair::new();
    let (_alices, port) = pair.alice.channel(&pair.bob);
    let exports = [1, 2].map(|pages| pair.alice.share(&pair.bob, pages));
    let device = reserved(&pair, &[&exports[0], &exports[1]]);
    let request = NotifyRequest { action: SEND_EVENT, port: port.number() };
    device.set_unmap_notify(at(1, 0), request).unwrap();
    let addr = map(&device, 1, 2);
    pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
    assert_eq!(errno(device.munmap(addr, Pages(2))), Errno::EFAULT);
    pair.bob.xen.deny(Call::GnttabUnmap, None);
    let before = sent(&pair);
    device.unmap_grant_ref(at(1, 0), Pages(2)).unwrap();
    assert_eq!(sent(&pair), before + 1);
    assert_eq!(device.usage(), Usage { reserved: 1, mapped: 0, stuck: 0 });
}

/// Maps three pages one by one, and drops the mappings while Xen refuses to unmap.
fn three_stuck(pair: &Pair) -> Export<FakeXen> {
    let export = pair.alice.share(&pair.bob, 3);
    let mappings: Vec<_> =
        pair.alice.offer(&export).chunks(1).map(|claim| pair.bob.map::<ReadWrite>(claim)).collect();
    pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
    mappings.into_iter().for_each(drop);
    pair.bob.xen.deny(Call::GnttabUnmap, None);
    export
}

#[test]
fn the_longest_stuck_page_is_tried_first_and_each_once() {
    let pair = Pair::new();
    let export = three_stuck(&pair);
    pair.bob.xen.inject_after(
        2,
        Call::GnttabUnmap,
        Fault::Hypercall { at: 0, errno: Errno::EPERM },
    );
    pair.bob.gntdev.retry_stuck();
    let states: Vec<_> = export.states().map(|state| state == PeerState::Idle).collect();
    assert_eq!(states, [true, true, false]);
    pair.bob.gntdev.retry_stuck();
    assert!(export.is_idle());
}

#[test]
fn mapping_a_reservation_first_retries_stuck_pages() {
    let pair = Pair::new();
    let other = pair.alice.share(&pair.bob, 1);
    let reservation = pair.bob.reserve(&pair.alice.offer(&other));
    let export = three_stuck(&pair);
    assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 4, mapped: 0, stuck: 3 });
    let mapping = reservation.map::<ReadWrite>().unwrap();
    assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 1, mapped: 1, stuck: 0 });
    assert!(export.is_idle());
    drop(mapping);
}

#[test]
fn a_stuck_page_wakes_a_sleeping_upkeep() {
    let pair = Pair::new();
    let upkeep = async {
        // It is polled at the start, at the end, and when it has something to do.
        let end = pair.bob.system.sleep_until(10_000_000_000);
        embassy_futures::select::select(pair.bob.upkeep(), end).await;
    };
    let test = async {
        pair.bob.system.sleep_until(1_000_000_000).await;
        let _export = three_stuck(&pair);
        assert_eq!(pair.bob.gntdev.usage().stuck, 3);
        pair.bob.system.sleep_until(1_200_000_000).await;
        assert_eq!(pair.bob.gntdev.usage().stuck, 0);
        // The same for a closed index device.
        let export = pair.alice.share(&pair.bob, 2);
        let device = reserved(&pair, &[&export]);
        map(&device, 0, 2);
        pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
        drop(device);
        assert_eq!(pair.bob.gntdev.usage().stuck, 2);
        pair.bob.xen.deny(Call::GnttabUnmap, None);
        pair.bob.system.sleep_until(2_000_000_000).await;
        assert_eq!(pair.bob.gntdev.usage(), Usage::default());
    };
    pair.world.run([Task::new(&pair.bob.events, upkeep), Task::new(&pair.bob.events, test)]);
}

#[test]
fn addresses_that_got_no_page_table_are_reused_later() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let claim = pair.alice.offer(&export);
    let device = pair.bob.gntdev.open().unwrap();
    let addr = || device.reserve(&claim).unwrap().map::<ReadWrite>().unwrap().addr();
    let first = addr();
    pair.bob.xen.fail_page_after(0);
    assert_eq!(errno(device.reserve(&[claim[0]; 700])), Errno::ENOMEM);
    assert_eq!(addr(), first);
}

#[test]
fn an_action_with_an_unknown_bit_requests_nothing() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let device = reserved(&pair, &[&export]);
    let port = PortNumber(0);
    for action in [4, 4 | CLEAR_BYTE, 8 | CLEAR_BYTE, u32::MAX] {
        let refused = device.set_unmap_notify(at(0, 5), NotifyRequest { action, port });
        assert_eq!(errno(refused), Errno::EINVAL, "{action}");
    }
    let addr = map(&device, 0, 1);
    device.write(addr, &[1; 8]).unwrap();
    device.munmap(addr, Pages(1)).unwrap();
    assert_eq!(bytes(&export, 4), [1; 3]);
}
