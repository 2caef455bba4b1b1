//! What Xen may answer besides "okay": nothing leaks, the error names it, the service goes on.

mod common;

use common::{ALICE, BOB, Pair, domid, offer, pair};
use drivers::fake::{Config, Fault, World};
use drivers::gntdev::{ReadWrite, Usage};
use drivers::{Access, Call, Errno, Limits, Services};
use xen_sys::grant_table::GrantStatus;

const PAGES: u32 = 8;

/// Every failing status, +1, and the three errors of the hypercall, at one position.
fn faults(at: usize) -> Vec<Fault> {
    let statuses = (-13..=-1).chain([1]).map(|raw| Fault::Status { at, status: GrantStatus(raw) });
    let errnos = [Errno::EFAULT, Errno::EPERM, Errno::ENOSYS];
    let calls = errnos.map(|errno| Fault::Hypercall { at, errno });
    statuses.chain(calls).chain([Fault::Untouched { at }]).collect()
}

fn export(pair: &Pair) -> drivers::gntalloc::Export<drivers::fake::FakeXen> {
    pair.alice.gntalloc.open().alloc(domid(BOB), PAGES, Access::ReadWrite).unwrap()
}

#[test]
fn every_failure_of_a_map_at_every_position_leaves_nothing_mapped() {
    let pair = pair();
    let export = export(&pair);
    let grants = offer(ALICE, &export);
    let bob = pair.bob.gntdev.open().unwrap();
    for (at, fault) in
        (0..PAGES as usize).flat_map(|at| faults(at).into_iter().map(move |f| (at, f)))
    {
        let reservation = bob.insert(&grants).unwrap();
        pair.bob.xen.inject(Call::GnttabMap, fault);
        let failed = reservation.map::<ReadWrite>().expect_err("an injected fault");
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
    let bob = pair.bob.gntdev.open().unwrap();
    for (at, fault) in
        (0..PAGES as usize).flat_map(|at| faults(at).into_iter().map(move |f| (at, f)))
    {
        let mapping = bob.insert(&offer(ALICE, &export)).unwrap().map::<ReadWrite>().unwrap();
        pair.bob.xen.inject(Call::GnttabUnmap, fault);
        assert!(mapping.unmap().is_err(), "{fault:?}");
        let stuck = if matches!(fault, Fault::Hypercall { .. }) { PAGES - at as u32 } else { 1 };
        assert_eq!(pair.bob.gntdev.usage(), Usage { reserved: stuck, mapped: 0, stuck });
        assert!(!export.is_idle(), "the owner sees that it is mapped still");
        pair.bob.gntdev.retry_stuck();
        assert_eq!(pair.bob.gntdev.usage().stuck, 0);
        assert!(export.is_idle());
    }
    drop((export, bob));
    pair.assert_clean();
}

#[test]
fn a_page_that_could_not_be_unmapped_after_a_failed_map_is_made_good_later() {
    let pair = pair();
    let export = export(&pair);
    let bob = pair.bob.gntdev.open().unwrap();
    let reservation = bob.insert(&offer(ALICE, &export)).unwrap();
    let status = GrantStatus::GENERAL_ERROR;
    pair.bob.xen.inject(Call::GnttabMap, Fault::Status { at: 7, status });
    pair.bob.xen.inject(Call::GnttabUnmap, Fault::Status { at: 2, status });
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
fn every_success_mask_of_eight_is_all_or_nothing() {
    let pair = pair();
    let export = export(&pair);
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
fn a_grant_table_that_cannot_grow_is_enospc_and_grows_another_time() {
    let pair = pair();
    let alloc = pair.alice.gntalloc.open();
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
    let config = Config { console: drivers::fake::ConsoleKind::Hypervisor, ..Config::default() };
    let xen = world.domain(0, config);
    xen.inject(Call::EvtchnBindVirq, Fault::Hypercall { at: 0, errno: Errno::EPERM });
    let guest = Services::bring_up(&xen, Limits::default()).unwrap();
    guest.console.print_now(b"deaf, not mute");
    assert_eq!(xen.console_output(), "deaf, not mute");
}
