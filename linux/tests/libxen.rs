// SPDX-License-Identifier: MIT OR Apache-2.0
//! The libraries' calls: all or nothing, contiguous, and without the libraries' leaks.

mod common;

use common::{ALICE, BOB, RW, errno, events, zeroes};
use drivers::buffer::Buffer;
use drivers::gntalloc::Export;
use drivers::gntdev::{CopyEnd, Segment, Usage};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, Errno, GrantRef, Pages, PortNumber};
use fake_xen::{Config, FakeXen, Fault, Pair};
use linux::ioctl::PROT_READ;
use linux::libxen::{Gntshr, Gnttab};
use xen_sys::grant_table::GrantStatus;

fn gnttab(pair: &Pair) -> Gnttab<FakeXen> {
    Gnttab::open(&pair.bob.gntdev).unwrap()
}

fn gntshr(pair: &Pair) -> Gntshr<FakeXen> {
    Gntshr::open(&pair.alice.gntalloc).unwrap()
}

/// Shares pages of alice's with bob. Returns them and their grefs.
fn share(pair: &Pair, pages: u32, access: Access) -> (Export<FakeXen>, Vec<u32>) {
    let export = pair.alice.share_as(&pair.bob, pages, access);
    let grefs = export.grefs().map(|gref| gref.0).collect();
    (export, grefs)
}

#[test]
fn map_grant_refs_maps_references_of_several_domains_side_by_side() {
    let pair = Pair::new();
    let carol = pair.world.guest(3, Config::default());
    let theirs = carol.share(&pair.bob, 1);
    let (export, grefs) = share(&pair, 2, Access::ReadWrite);
    export.write(0, b"alice").unwrap();
    theirs.write(0, b"carol").unwrap();
    let mut bob = gnttab(&pair);
    let carols = theirs.grefs().next().unwrap().0;
    let addr =
        bob.map_grant_refs(&[ALICE, 3, ALICE], &[grefs[0], carols, grefs[0]], PROT_READ).unwrap();
    let mut seen = [0; 5];
    for (page, expected) in [b"alice", b"carol", b"alice"].into_iter().enumerate() {
        bob.read(addr + 4096 * page, &mut seen).unwrap();
        assert_eq!(&seen, expected);
    }
    assert_eq!(errno(bob.write(addr, b"X")), Errno::EFAULT, "PROT_READ");
    bob.unmap(addr, 3).unwrap();
    assert_eq!(pair.bob.gntdev.usage(), Usage::default(), "mapped and reserved nothing");
}

#[test]
fn map_domain_grant_refs_and_map_grant_ref_are_for_one_domain() {
    let pair = Pair::new();
    let (export, grefs) = share(&pair, 3, Access::ReadWrite);
    let mut bob = gnttab(&pair);
    let all = bob.map_domain_grant_refs(ALICE, &grefs, RW).unwrap();
    let one = bob.map_grant_ref(ALICE, grefs[2], RW).unwrap();
    bob.write(one, b"third").unwrap();
    let mut seen = [0; 5];
    bob.read(all + 2 * 4096, &mut seen).unwrap();
    assert_eq!(&seen, b"third");
    bob.unmap(all, 3).unwrap();
    bob.unmap(one, 1).unwrap();
    assert!(export.is_idle());
}

#[test]
fn a_map_that_xen_refuses_leaves_nothing_reserved() {
    let pair = Pair::new();
    let (export, mut grefs) = share(&pair, 4, Access::ReadWrite);
    let bob = gnttab(&pair);
    grefs[2] = 99_999;
    let error = bob.map_domain_grant_refs(ALICE, &grefs, RW).unwrap_err();
    assert_eq!((error.errno(), error.status()), (Errno::EINVAL, Some(GrantStatus::BAD_GNTREF)));
    assert_eq!(pair.bob.gntdev.usage(), Usage::default());
    // Nothing is left even if one of the pages can't be unmapped at once.
    let general = GrantStatus::GENERAL_ERROR;
    pair.bob.xen.inject(Call::GnttabUnmap, Fault::Status { at: 1, status: general });
    bob.map_domain_grant_refs(ALICE, &grefs, RW).unwrap_err();
    assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 1, mapped: 0, stuck: 1 });
    pair.bob.gntdev.retry_stuck();
    assert_eq!(pair.bob.gntdev.usage(), Usage::default());
    assert!(export.is_idle());
}

#[test]
fn no_references_and_unequal_lists_are_einval() {
    let pair = Pair::new();
    let bob = gnttab(&pair);
    assert_eq!(errno(bob.map_grant_refs(&[], &[], RW)), Errno::EINVAL);
    assert_eq!(errno(bob.map_domain_grant_refs(ALICE, &[], RW)), Errno::EINVAL);
    assert_eq!(errno(bob.map_grant_refs(&[1], &[8, 9], RW)), Errno::EINVAL);
    assert_eq!(errno(bob.map_grant_refs(&[1, 1, 1], &[8, 9], RW)), Errno::EINVAL);
    assert_eq!(pair.bob.gntdev.usage(), Usage::default());
}

#[test]
fn unmap_takes_the_address_and_the_count_of_one_mapping_and_nothing_else() {
    let pair = Pair::new();
    let (export, grefs) = share(&pair, 3, Access::ReadWrite);
    let mut bob = gnttab(&pair);
    let addr = bob.map_domain_grant_refs(ALICE, &grefs, RW).unwrap();
    let mut other = gnttab(&pair);
    for (bad, count) in [
        (0, 3),
        (addr, 2),
        (addr, 4),
        (addr, 0),
        (addr, u32::MAX),
        (addr + 4096, 2),
        (addr + 1, 3),
        (usize::MAX, 1),
        (addr.wrapping_sub(4096), 4),
    ] {
        assert_eq!(errno(bob.unmap(bad, count)), Errno::EINVAL, "{bad:#x} {count}");
    }
    assert_eq!(errno(other.unmap(addr, 3)), Errno::EINVAL, "another handle's");
    assert_eq!(pair.bob.gntdev.usage().mapped, 3, "nothing changed");
    bob.unmap(addr, 3).unwrap();
    assert_eq!(errno(bob.unmap(addr, 3)), Errno::EINVAL, "once");
    assert!(export.is_idle());
}

#[test]
fn an_unmap_that_xen_refuses_is_retried_and_then_frees_the_index() {
    let pair = Pair::new();
    let (export, grefs) = share(&pair, 3, Access::ReadWrite);
    let mut bob = gnttab(&pair);
    let addr = bob.map_domain_grant_refs(ALICE, &grefs, RW).unwrap();
    pair.bob.xen.inject(Call::GnttabUnmap, Fault::Hypercall { at: 1, errno: Errno::EFAULT });
    assert_eq!(errno(bob.unmap(addr, 3)), Errno::EFAULT);
    assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: 2, mapped: 0, stuck: 2 });
    pair.bob.gntdev.retry_stuck();
    assert_eq!(pair.bob.gntdev.usage(), Usage::default());
    assert!(export.is_idle());
}

#[test]
fn map_grant_ref_notify_fires_at_unmap_and_at_the_end_of_the_process() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let (export, grefs) = share(&pair, 1, Access::ReadWrite);
    let byte = |at| {
        let mut byte = [0];
        export.read(at, &mut byte).unwrap();
        byte[0]
    };
    let mut bob = gnttab(&pair);
    for (round, by_unmap) in [(1, true), (2, false)] {
        export.write(16, &[1, 1]).unwrap();
        let port = Some(bob_port.number());
        let addr = bob.map_grant_ref_notify(ALICE, grefs[0], RW, 17, port).unwrap();
        assert_eq!((byte(17), events(&pair, &alice_port)), (1, round - 1));
        if by_unmap {
            bob.unmap(addr, 1).unwrap();
        } else {
            bob = gnttab(&pair);
        }
        assert_eq!((byte(16), byte(17), events(&pair, &alice_port)), (1, 0, round));
    }
    // Without a port only the byte is cleared; with an offset of a page or more only the event is
    // sent.
    export.write(0, &[1]).unwrap();
    let addr = bob.map_grant_ref_notify(ALICE, grefs[0], RW, 0, None).unwrap();
    bob.unmap(addr, 1).unwrap();
    assert_eq!((byte(0), events(&pair, &alice_port)), (0, 2));
    export.write(0, &[1]).unwrap();
    for (offset, rung) in [(4096, 3), (u32::MAX, 4)] {
        let port = Some(bob_port.number());
        let addr = bob.map_grant_ref_notify(ALICE, grefs[0], PROT_READ, offset, port).unwrap();
        bob.unmap(addr, 1).unwrap();
        assert_eq!((byte(0), events(&pair, &alice_port)), (1, rung));
    }
}

#[test]
fn a_map_with_notify_that_fails_notifies_nobody() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let (_export, grefs) = share(&pair, 1, Access::ReadOnly);
    let bob = gnttab(&pair);
    let port = Some(bob_port.number());
    let sends = || pair.bob.system.counters().calls(Call::EvtchnSend);
    let before = sends();
    let refused = bob.map_grant_ref_notify(ALICE, grefs[0], RW, 0, port);
    assert_eq!(refused.unwrap_err().status(), Some(GrantStatus::GENERAL_ERROR), "read-only grant");
    let byte_of_read_only = bob.map_grant_ref_notify(ALICE, grefs[0], PROT_READ, 0, port);
    assert_eq!(errno(byte_of_read_only), Errno::EINVAL);
    let closed_port = bob.map_grant_ref_notify(ALICE, grefs[0], RW, 0, Some(PortNumber(99)));
    assert_eq!(errno(closed_port), Errno::EINVAL);
    assert_eq!((sends(), events(&pair, &alice_port)), (before, 0));
    assert_eq!(pair.bob.gntdev.usage(), Usage::default());
}

#[test]
fn set_max_grants_bounds_what_can_be_mapped_at_once() {
    let pair = Pair::new();
    let (_export, grefs) = share(&pair, 3, Access::ReadWrite);
    let mut bob = gnttab(&pair);
    bob.set_max_grants(2).unwrap();
    assert_eq!(errno(bob.map_domain_grant_refs(ALICE, &grefs, RW)), Errno::ENOMEM);
    let addr = bob.map_domain_grant_refs(ALICE, &grefs[..2], RW).unwrap();
    assert_eq!(errno(bob.set_max_grants(5)), Errno::EBUSY);
    bob.unmap(addr, 2).unwrap();
    assert_eq!(errno(bob.set_max_grants(0)), Errno::EINVAL);
    bob.set_max_grants(5).unwrap();
    assert!(bob.map_domain_grant_refs(ALICE, &grefs, RW).is_ok());
}

#[test]
fn grant_copy_does_what_the_service_does() {
    let pair = Pair::new();
    let (export, _) = share(&pair, 1, Access::ReadWrite);
    let grant = pair.alice.offer(&export)[0];
    export.write(3, b"copied").unwrap();
    let buffer = Buffer::new(&pair.bob.system, Pages(1)).unwrap();
    let mut bob = gnttab(&pair);
    let mut segments = [Segment::new(CopyEnd::Grant(grant, 3), CopyEnd::Buffer(&buffer, 0), 6)];
    bob.grant_copy(&mut segments).unwrap();
    let mut seen = [0; 6];
    buffer.read(0, &mut seen).unwrap();
    assert_eq!((&seen, segments[0].status), (b"copied", GrantStatus::OKAY));
    bob.close().unwrap();
    assert_eq!(errno(bob.grant_copy(&mut segments)), Errno::EBADF);
}

#[test]
fn share_pages_are_zeroed_and_unshared_by_their_mapping_alone() {
    let pair = Pair::new();
    let mut alice = gntshr(&pair);
    let mut grefs = [GrantRef(0); 3];
    let addr = alice.share_pages(BOB, &mut grefs, true).unwrap();
    let mut all = vec![1; 3 * 4096];
    alice.read(addr, &mut all).unwrap();
    assert!(all.iter().all(|byte| *byte == 0));
    alice.write(addr + 4095, b"over").unwrap();
    let mut bob = gnttab(&pair);
    let mapped = bob.map_domain_grant_refs(ALICE, &grefs.map(|gref| gref.0), RW).unwrap();
    let mut seen = [0; 4];
    bob.read(mapped + 4095, &mut seen).unwrap();
    assert_eq!(&seen, b"over");
    for (bad, count) in [(0, 3), (addr, 2), (addr, 0), (addr + 4096, 2), (addr, u32::MAX)] {
        assert_eq!(errno(alice.unshare(bad, count)), Errno::EINVAL, "{bad:#x} {count}");
    }
    alice.unshare(addr, 3).unwrap();
    assert_eq!(errno(alice.unshare(addr, 3)), Errno::EINVAL, "once");
    assert_eq!(pair.alice.gntalloc.parked(), 3, "the peer maps them still");
    bob.read(mapped + 4095, &mut seen).unwrap();
    assert_eq!(&seen, b"over");
    bob.unmap(mapped, 3).unwrap();
    assert_eq!(pair.alice.gntalloc.reap(9), 3);
    drop((alice, bob));
    pair.assert_clean();
}

#[test]
fn read_only_sharing_refuses_a_writable_map() {
    let pair = Pair::new();
    let mut alice = gntshr(&pair);
    let mut grefs = [GrantRef(0)];
    alice.share_pages(BOB, &mut grefs, false).unwrap();
    let bob = gnttab(&pair);
    let refused = bob.map_grant_ref(ALICE, grefs[0].0, RW).unwrap_err();
    assert_eq!(refused.status(), Some(GrantStatus::GENERAL_ERROR));
    bob.map_grant_ref(ALICE, grefs[0].0, PROT_READ).unwrap();
}

#[test]
fn share_page_notify_fires_when_the_page_is_unshared() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let before = events(&pair, &bob_port);
    let mut alice = gntshr(&pair);
    let port = Some(alice_port.number());
    let (addr, gref) = alice.share_page_notify(BOB, true, 40, port).unwrap();
    let bob = gnttab(&pair);
    let mapped = bob.map_grant_ref(ALICE, gref.0, RW).unwrap();
    alice.write(addr + 39, &[1, 1, 1]).unwrap();
    assert_eq!(events(&pair, &bob_port), before);
    alice.unshare(addr, 1).unwrap();
    let mut seen = [9; 3];
    bob.read(mapped + 39, &mut seen).unwrap();
    assert_eq!((seen, events(&pair, &bob_port)), ([1, 0, 1], before + 1), "the peer sees it");
}

#[test]
fn a_share_that_fails_leaves_nothing_and_notifies_nobody() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let before = events(&pair, &bob_port);
    let mut alice = gntshr(&pair);
    assert_eq!(errno(alice.share_pages(BOB, &mut [], true)), Errno::EINVAL);
    assert_eq!(errno(alice.share_pages(0x7FF0, &mut [GrantRef(0)], true)), Errno::EINVAL);
    pair.alice.gntalloc.set_limit(2);
    assert_eq!(errno(alice.share_pages(BOB, &mut [GrantRef(0); 3], true)), Errno::ENOSPC);
    let bad = Some(PortNumber(99));
    assert_eq!(errno(alice.share_page_notify(BOB, true, 0, bad)), Errno::EINVAL);
    let port = Some(alice_port.number());
    pair.alice.xen.fail_page_after(0);
    assert_eq!(errno(alice.share_page_notify(BOB, true, 0, port)), Errno::ENOMEM);
    assert_eq!(events(&pair, &bob_port), before);
    drop(alice);
    pair.assert_clean();
}

#[test]
fn a_closed_library_handle_is_ebadf_and_its_mappings_live_on() {
    let pair = Pair::new();
    let (mut alice, mut bob) = (gntshr(&pair), gnttab(&pair));
    let mut grefs = [GrantRef(0)];
    let shared = alice.share_pages(BOB, &mut grefs, true).unwrap();
    let mapped = bob.map_grant_ref(ALICE, grefs[0].0, RW).unwrap();
    alice.close().unwrap();
    bob.close().unwrap();
    assert_eq!((errno(alice.close()), errno(bob.close())), (Errno::EBADF, Errno::EBADF));
    assert_eq!(errno(alice.share_pages(BOB, &mut grefs, true)), Errno::EBADF);
    assert_eq!(errno(alice.share_page_notify(BOB, true, 0, None)), Errno::EBADF);
    assert_eq!(errno(bob.map_grant_ref(ALICE, grefs[0].0, RW)), Errno::EBADF);
    assert_eq!(errno(bob.map_grant_ref_notify(ALICE, grefs[0].0, RW, 0, None)), Errno::EBADF);
    assert_eq!(errno(bob.set_max_grants(3)), Errno::EBADF);
    alice.write(shared, b"alive").unwrap();
    let mut seen = [0; 5];
    bob.read(mapped, &mut seen).unwrap();
    assert_eq!(&seen, b"alive");
    bob.unmap(mapped, 1).unwrap();
    alice.unshare(shared, 1).unwrap();
    pair.assert_clean();
}

#[test]
fn a_second_mapping_with_a_notification_has_its_own_byte_cleared() {
    let pair = Pair::new();
    let (export, grefs) = share(&pair, 2, Access::ReadWrite);
    let mut bob = gnttab(&pair);
    let first = bob.map_grant_ref(ALICE, grefs[0], RW).unwrap();
    let second = bob.map_grant_ref_notify(ALICE, grefs[1], RW, 3, None).unwrap();
    export.write(0, &[1; 8192]).unwrap();
    bob.unmap(second, 1).unwrap();
    bob.unmap(first, 1).unwrap();
    assert_eq!(zeroes(&export), [4096 + 3]);
}
