//! What Xen may answer besides "okay": nothing leaks, the error names it, the service goes on.

mod common;

use common::{ALICE, BOB, Pair, domid, offer, pair};
use drivers::buffer::Buffer;
use drivers::gntalloc::Export;
use drivers::gntdev::{CopyEnd, ReadWrite, Segment, Usage};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, Errno, Hypervisor, Limits, Services};
use fake_xen::{Config, FakeXen, Fault, World};
use xen_sys::grant_table::GrantStatus;

/// Entries of a batch.
const PAGES: u32 = if cfg!(miri) { 3 } else { 64 };

/// Every failing status, +1, "left untouched", and three errors of the hypercall, at one position.
fn faults(at: usize) -> impl Iterator<Item = Fault> {
    let statuses =
        (-13..=-1).chain([1]).map(move |raw| Fault::Status { at, status: GrantStatus(raw) });
    let errnos = [Errno::EFAULT, Errno::EPERM, Errno::ENOSYS].into_iter();
    let calls = errnos.map(move |errno| Fault::Hypercall { at, errno });
    statuses.chain(calls).chain([Fault::Untouched { at }])
}

/// The same at every position of a batch.
fn faults_everywhere() -> impl Iterator<Item = (usize, Fault)> {
    (0..PAGES as usize).flat_map(|at| faults(at).map(move |fault| (at, fault)))
}

/// Xen asks to be asked again, and then has the page.
fn is_eagain(fault: Fault) -> bool {
    matches!(fault, Fault::Status { status: GrantStatus::EAGAIN, .. })
}

fn export(pair: &Pair) -> Export<FakeXen> {
    let alloc = pair.alice.gntalloc.open().unwrap();
    alloc.alloc(domid(BOB), PAGES, Access::ReadWrite).unwrap()
}

#[test]
fn every_failure_of_a_map_at_every_position_leaves_nothing_mapped() {
    let pair = pair();
    let export = export(&pair);
    let grants = offer(ALICE, &export);
    let bob = pair.bob.gntdev.open().unwrap();
    for (at, fault) in faults_everywhere() {
        let reservation = bob.insert(&grants).unwrap();
        pair.bob.xen.inject(Call::GnttabMap, fault);
        let mapped = reservation.map::<ReadWrite>();
        if is_eagain(fault) {
            drop(mapped.expect("asked again"));
            continue;
        }
        let failed = mapped.expect_err("an injected fault");
        match fault {
            Fault::Status { status, .. } => assert_eq!(failed.error.status(), Some(status)),
            Fault::Hypercall { errno, .. } => assert_eq!(failed.error.errno(), errno),
            Fault::Untouched { .. } => {
                assert_eq!(failed.error.status(), Some(GrantStatus::GENERAL_ERROR));
            }
        }
        if failed.error.status().is_some() {
            let gref = grants[at].gref.to_string();
            assert!(failed.error.to_string().contains(&gref), "{} names {gref}", failed.error);
        }
        assert!(export.is_idle(), "{fault:?}");
        assert_eq!(bob.usage(), Usage { reserved: PAGES, mapped: 0, stuck: 0 });
        let mapping = failed.value.map::<ReadWrite>();
        drop(mapping.unwrap_or_else(|_| panic!("usable after {fault:?}")));
        assert_eq!(bob.usage(), Usage::default());
    }
    drop((export, bob));
    pair.assert_clean();
}

#[test]
fn every_failure_of_an_unmap_at_every_position_is_made_good_later() {
    let pair = pair();
    let export = export(&pair);
    let grants = offer(ALICE, &export);
    let bob = pair.bob.gntdev.open().unwrap();
    for (at, fault) in faults_everywhere() {
        let mapping = bob.insert(&grants).unwrap().map::<ReadWrite>().unwrap();
        pair.bob.xen.inject(Call::GnttabUnmap, fault);
        let error = mapping.unmap().expect_err("an injected fault");
        if error.status().is_some() {
            let gref = grants[at].gref.to_string();
            assert!(error.to_string().contains(&gref), "{error} names {gref}");
        }
        let stuck = if matches!(fault, Fault::Hypercall { .. }) { PAGES - at as u32 } else { 1 };
        assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: stuck, mapped: 0, stuck });
        assert!(!export.is_idle(), "the owner sees that it is mapped still");
        pair.bob.gntdev.retry_stuck();
        assert_eq!(pair.bob.gntdev.usage(), Usage::default());
        assert!(export.is_idle());
    }
    drop((export, bob));
    pair.assert_clean();
}

#[test]
fn every_failure_of_a_copy_at_every_position_is_that_segments_status_alone() {
    let pair = pair();
    let export = export(&pair);
    let grants = offer(ALICE, &export);
    let bob = pair.bob.gntdev.open().unwrap();
    let buffer = Buffer::new(&pair.bob.xen, PAGES).unwrap();
    for page in 0..PAGES as usize {
        export.write(page * 4096, &[page as u8 + 1]).unwrap();
    }
    // The 64 entries are made by batches of 16: one position in each of them.
    for (at, fault) in faults_everywhere() {
        buffer.write(0, &vec![0; buffer.size()]).unwrap();
        let mut segments: Vec<_> = (0..PAGES as usize)
            .map(|page| {
                let source = CopyEnd::Grant(grants[page], 0);
                Segment::new(source, CopyEnd::Buffer(&buffer, page * 4096), 1)
            })
            .collect();
        let (batch, position) = (at / 16, at % 16);
        for (number, part) in segments.chunks_mut(16).enumerate() {
            if number == batch {
                pair.bob.xen.inject(Call::GnttabCopy, at_position(fault, position));
            }
            let copied = bob.grant_copy(part);
            let failed = number == batch && matches!(fault, Fault::Hypercall { .. });
            assert_eq!(copied.is_err(), failed, "{fault:?}");
        }
        for (page, segment) in segments.iter().enumerate() {
            let expected = match fault {
                Fault::Hypercall { .. } if page / 16 == batch && page >= at => {
                    GrantStatus::GENERAL_ERROR
                }
                Fault::Status { status, .. } if page == at && !is_eagain(fault) => status,
                Fault::Untouched { .. } if page == at => GrantStatus::GENERAL_ERROR,
                _ => GrantStatus::OKAY,
            };
            assert_eq!(segment.status, expected, "{fault:?}, segment {page}");
            let mut byte = [0];
            buffer.read(page * 4096, &mut byte).unwrap();
            let copied = if expected == GrantStatus::OKAY { page as u8 + 1 } else { 0 };
            assert_eq!(byte[0], copied, "{fault:?}, segment {page}");
        }
        assert!(export.is_idle());
    }
    drop((export, bob, buffer));
    pair.assert_clean();
}

fn at_position(fault: Fault, at: usize) -> Fault {
    match fault {
        Fault::Hypercall { errno, .. } => Fault::Hypercall { at, errno },
        Fault::Status { status, .. } => Fault::Status { at, status },
        Fault::Untouched { .. } => Fault::Untouched { at },
    }
}

#[test]
fn a_page_on_its_way_back_from_swap_is_asked_for_again_and_alone() {
    let pair = pair();
    let export = export(&pair);
    let grants = offer(ALICE, &export);
    let bob = pair.bob.gntdev.open().unwrap();
    pair.alice.xen.page_out(grants[1].gref, 3);
    let calls = |call| pair.bob.xen.counters().calls(call);
    let (maps, yields) = (calls(Call::GnttabMap), calls(Call::SchedYield));
    let mapping = bob.insert(&grants).unwrap().map::<ReadWrite>().expect("it comes back");
    assert_eq!(calls(Call::GnttabMap) - maps, 1 + 3);
    assert_eq!(calls(Call::SchedYield) - yields, 3, "others run meanwhile");
    drop(mapping);
}

#[test]
fn a_page_that_never_comes_back_is_given_up_after_16_more_tries() {
    let pair = pair();
    let export = export(&pair);
    let grants = offer(ALICE, &export);
    let bob = pair.bob.gntdev.open().unwrap();
    pair.alice.xen.page_out(grants[0].gref, u32::MAX);
    let calls = |call| pair.bob.xen.counters().calls(call);
    let maps = calls(Call::GnttabMap);
    let failed = bob.insert(&grants).unwrap().map::<ReadWrite>().unwrap_err();
    assert_eq!(calls(Call::GnttabMap) - maps, 1 + 16);
    assert_eq!(failed.error.status(), Some(GrantStatus::EAGAIN));
    assert_eq!(failed.error.errno(), Errno::EINVAL);
    assert!(export.is_idle(), "the others are unmapped");
    // With a refusal beside it there is nothing to wait for.
    let mut grants = grants;
    grants[1].gref.0 = 99_999;
    let maps = calls(Call::GnttabMap);
    drop(bob.insert(&grants).unwrap().map::<ReadWrite>().unwrap_err());
    assert_eq!(calls(Call::GnttabMap) - maps, 1);
}

#[test]
fn a_copy_of_a_page_on_its_way_back_is_tried_again_too() {
    let pair = pair();
    let export = export(&pair);
    let grants = offer(ALICE, &export);
    let bob = pair.bob.gntdev.open().unwrap();
    let buffer = Buffer::new(&pair.bob.xen, 1).unwrap();
    let copy = |gref: usize| {
        let end = |at| CopyEnd::Buffer(&buffer, at);
        let mut segments =
            [0, gref, 0].map(|gref| Segment::new(CopyEnd::Grant(grants[gref], 0), end(gref), 8));
        bob.grant_copy(&mut segments).unwrap();
        segments.map(|segment| segment.status)
    };
    pair.alice.xen.page_out(grants[1].gref, 16);
    assert_eq!(copy(1), [GrantStatus::OKAY; 3]);
    pair.alice.xen.page_out(grants[1].gref, 17);
    assert_eq!(copy(1), [GrantStatus::OKAY, GrantStatus::EAGAIN, GrantStatus::OKAY]);
}

#[test]
fn an_error_while_asking_again_is_the_hypercalls() {
    let pair = pair();
    let export = export(&pair);
    let bob = pair.bob.gntdev.open().unwrap();
    let eagain = Fault::Status { at: 2, status: GrantStatus::EAGAIN };
    pair.bob.xen.inject(Call::GnttabMap, eagain);
    pair.bob.xen.inject_later(Call::GnttabMap, Fault::Hypercall { at: 0, errno: Errno::EFAULT });
    let failed = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap_err();
    assert_eq!(failed.error.errno(), Errno::EFAULT);
    assert!(export.is_idle());
}

#[test]
fn a_page_that_could_not_be_unmapped_after_a_failed_map_is_made_good_later() {
    let pair = pair();
    let export = export(&pair);
    let bob = pair.bob.gntdev.open().unwrap();
    let reservation = bob.insert(&offer(ALICE, &export)).unwrap();
    let status = GrantStatus::GENERAL_ERROR;
    pair.bob.xen.inject(Call::GnttabMap, Fault::Status { at: PAGES as usize - 1, status });
    pair.bob.xen.inject(Call::GnttabUnmap, Fault::Status { at: 1, status });
    let failed = reservation.map::<ReadWrite>().unwrap_err();
    assert_eq!(bob.usage().stuck, 1);
    drop((failed, bob));
    assert!(export.is_idle(), "closing the handle unmaps what is left");
    drop(export);
    pair.assert_clean();
}

#[test]
fn address_space_that_xen_will_not_unmap_is_never_given_back() {
    let pair = pair();
    let export = export(&pair);
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    let addr = mapping.addr();
    let fault = Fault::Status { at: 0, status: GrantStatus::GENERAL_ERROR };
    pair.bob.xen.inject(Call::GnttabUnmap, fault);
    drop((mapping, bob));
    // Closing tried again, and succeeded: now the worst case, in which it fails as well.
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    assert_eq!(mapping.addr(), addr, "the window served again");
    pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
    drop((mapping, bob));
    pair.bob.xen.deny(Call::GnttabUnmap, None);
    assert!(!export.is_idle());
    let bob = pair.bob.gntdev.open().unwrap();
    let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
    assert_ne!(mapping.addr(), addr);
}

#[test]
#[cfg_attr(miri, ignore = "takes long")]
fn every_success_mask_of_eight_is_all_or_nothing() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    let export = alloc.alloc(domid(BOB), 8, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    for mask in 0..=255u32 {
        for at in (0..8).filter(|at| mask & (1 << at) == 0) {
            let status = GrantStatus::BAD_PAGE;
            pair.bob.xen.inject(Call::GnttabMap, Fault::Status { at, status });
        }
        let mapped = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>();
        assert_eq!(mapped.is_ok(), mask == 255);
        drop(mapped);
        assert!(export.is_idle(), "mask {mask:#b}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes long")]
fn a_grant_table_that_cannot_grow_is_enospc_and_grows_another_time() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open().unwrap();
    for fault in faults(0) {
        pair.alice.xen.inject(Call::GnttabSetupTable, fault);
        let error = alloc.alloc(domid(BOB), 600, Access::ReadWrite).unwrap_err();
        match fault {
            Fault::Hypercall { errno, .. } => assert_eq!(error.errno(), errno),
            _ => assert_eq!(error.errno(), Errno::ENOSPC, "{fault:?}"),
        }
        pair.assert_clean();
    }
    assert!(alloc.alloc(domid(BOB), 600, Access::ReadWrite).is_ok());
}

#[test]
fn a_guest_on_a_xen_that_lacks_something_says_what_and_stops() {
    let calls = [
        (Call::EvtchnAllocUnbound, "event channels"),
        (Call::EvtchnStatus, "event channels"),
        (Call::GnttabGetVersion, "grant table"),
        (Call::GnttabQuerySize, "grant table"),
        (Call::GnttabSetupTable, "grant table"),
    ];
    for (call, step) in calls {
        let world = World::new();
        let xen = world.domain(1, Config::default());
        xen.inject(call, Fault::Hypercall { at: 0, errno: Errno::ENOSYS });
        let error = Services::bring_up(&xen, Limits::default()).expect_err("no guest without it");
        assert_eq!((error.step, error.error.errno()), (step, Errno::ENOSYS));
        let line = error.to_string();
        assert!(line.contains(step) && line.contains("ENOSYS") && !line.contains('\n'), "{line}");
        xen.assert_clean();
    }
}

#[test]
fn a_grant_table_of_version_2_is_refused() {
    let world = World::new();
    let xen = world.domain(1, Config { grant_version: 2, ..Config::default() });
    let error = Services::bring_up(&xen, Limits::default()).expect_err("version 1 only");
    assert_eq!(error.error.errno(), Errno::ENODEV);
    assert!(error.to_string().contains("version 1"), "{error}");
}

#[test]
fn a_console_without_a_keyboard_interrupt_still_prints() {
    let world = World::new();
    let config = Config { console: fake_xen::ConsoleKind::Hypervisor, ..Config::default() };
    let xen = world.domain(0, config);
    xen.inject(Call::EvtchnBindVirq, Fault::Hypercall { at: 0, errno: Errno::EPERM });
    let guest = Services::bring_up(&xen, Limits::default()).unwrap();
    guest.console.print_now(b"deaf, not mute");
    assert_eq!(xen.console_output(), "deaf, not mute");
}
