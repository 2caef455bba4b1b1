// SPDX-License-Identifier: MIT OR Apache-2.0
//! `xl mem-set`: the guest's size follows `memory/target`, and one line reports the result.

mod common;

use common::{ShellGuest, said, value};
use drivers::{Call, Errno};
use fake_xen::{Config, Fault, Mode};

const TARGET: &str = "/local/domain/1/memory/target";
const BOOT: u32 = 512;

fn guest_of(mode: Mode) -> ShellGuest {
    said::listen();
    ShellGuest::alone_with(1, Config { pages: BOOT, max_pages: 1024, mode, ..Config::default() })
}

fn guest() -> ShellGuest {
    guest_of(Mode::Pv)
}

/// Sets a target and waits; returns the lines about it, and the size in pages.
async fn set(guest: &ShellGuest, target: &str) -> (Vec<String>, u32) {
    said::take();
    guest.xen.world().xenstore_write(TARGET, target);
    guest.pause(50).await;
    (said::take(), guest.balloon.pages().0)
}

#[test]
fn the_guest_shrinks_and_grows_with_a_line_each_and_no_line_for_nothing() {
    for mode in [Mode::Pv, Mode::Pvh] {
        shrinks_and_grows(guest_of(mode));
    }
}

fn shrinks_and_grows(guest: ShellGuest) {
    let xl = async {
        guest.pause(50).await;
        assert_eq!(said::take(), [""; 0], "the size that it has is none to be told");
        for (target, line, pages) in [
            ("1200", Some("memory/target: gave back 848 KiB, 1200 KiB now"), 300),
            ("1200", None, 300),
            ("1203", None, 300),
            ("4096", Some("memory/target: took 2896 KiB, 4096 KiB now"), 1024),
            ("2048", Some("memory/target: gave back 2048 KiB, 2048 KiB now"), BOOT),
        ] {
            let (lines, size) = set(&guest, target).await;
            assert_eq!((lines.first().map(|line| &**line), size), (line, pages), "{target}");
            assert!(lines.len() <= 1);
        }
        guest.xen.console_type("status\rpoweroff\r");
    };
    guest.run_beside("", xl);
    assert_eq!(value(&guest.results()[0], "frames_free"), BOOT.to_string());
    guest.end();
}

#[test]
fn a_target_that_cannot_be_is_one_line_and_changes_nothing() {
    let guest = guest();
    let xl = async {
        guest.pause(50).await;
        for (target, words) in [
            ("0", "0 KiB is no size"),
            ("3", "3 KiB is no size"),
            ("-4", "-4 KiB is no size"),
            ("2048 KiB", "2048 KiB KiB is no size"),
            ("\x1b\n", r"\x1b\x0a KiB is no size"),
            ("99999999999999999999", "9999999999999999 KiB is no size"),
            ("4100", "4100 KiB is more than maxmem, 4096 KiB"),
            ("4", "4 KiB: more than that is in use; nothing is changed"),
        ] {
            let (lines, size) = set(&guest, target).await;
            assert!(lines.len() == 1 && lines[0].contains(words), "{target}: {lines:?}");
            assert_eq!(size, BOOT);
        }
        guest.xen.console_type("poweroff\r");
    };
    guest.run_beside("", xl);
    guest.end();
}

#[test]
fn what_xen_refuses_is_one_line_and_changes_nothing() {
    let guest = guest();
    let xl = async {
        guest.pause(50).await;
        for target in ["1200", "4096"] {
            for at in [0, 1, 63] {
                guest.xen.inject_after(0, Call::MemoryOp, Fault::Untouched { at });
                let (lines, size) = set(&guest, target).await;
                assert!(lines.len() == 1 && lines[0].contains("Xen refuses more"), "{lines:?}");
                assert_eq!(size, BOOT, "{target} {at}");
                set(&guest, "2048").await;
            }
        }
        guest.xen.deny(Call::MemoryOp, Some(Errno::ENOSYS));
        said::take();
        guest.xen.world().xenstore_write(TARGET, "1200");
        guest.pause(50).await;
        let lines = said::take();
        assert!(lines.len() == 1 && lines[0].contains("ENOSYS"), "{lines:?}");
        guest.xen.console_type("poweroff\r");
    };
    guest.run_beside("", xl);
    guest.end();
}

#[test]
fn a_change_that_cannot_be_undone_is_not_called_none() {
    let guest = guest();
    let xl = async {
        guest.pause(50).await;
        // The second batch is refused, and then the undoing of the first.
        for call in [1, 2] {
            guest.xen.inject_after(call, Call::MemoryOp, Fault::Untouched { at: 0 });
        }
        let (lines, size) = set(&guest, "1200").await;
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(line.ends_with("and -64 pages could not be undone"), "{line}");
        assert_eq!(size, BOOT - 64);
        guest.xen.console_type("poweroff\r");
    };
    guest.run_beside("", xl);
    guest.end();
}

#[test]
fn a_target_that_is_set_before_anybody_listens_is_followed() {
    let guest = guest();
    guest.xen.world().xenstore_write(TARGET, "400");
    let xl = async {
        guest.pause(50).await;
        assert_eq!(guest.balloon.pages().0, 100);
        guest.xen.console_type("poweroff\r");
    };
    guest.run_beside("", xl);
    guest.end();
}
