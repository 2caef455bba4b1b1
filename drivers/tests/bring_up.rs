// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bringing up the services when Xen lacks something.

use drivers::{Call, Errno, Limits, Services};
use fake_xen::{Config, ConsoleKind, Fault, World};

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
        let error =
            Services::bring_up(xen.boot(), Limits::default()).expect_err("no guest without it");
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
    let error = Services::bring_up(xen.boot(), Limits::default()).expect_err("version 1 only");
    assert_eq!(error.error.errno(), Errno::ENODEV);
    assert!(error.to_string().contains("version 1"), "{error}");
}

#[test]
fn a_console_without_a_keyboard_interrupt_still_prints() {
    let world = World::new();
    let config = Config { console: ConsoleKind::Hypervisor, ..Config::default() };
    let xen = world.domain(0, config);
    xen.inject(Call::EvtchnBindVirq, Fault::Hypercall { at: 0, errno: Errno::EPERM });
    let guest = Services::bring_up(xen.boot(), Limits::default()).unwrap();
    guest.console.print_now(b"deaf, not mute");
    assert_eq!(xen.console_output(), "deaf, not mute");
}
