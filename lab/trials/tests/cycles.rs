// SPDX-License-Identifier: MIT OR Apache-2.0
//! Thousands of cycles leave nothing behind, and what a failing Xen leaves behind is reported.

#[path = "../../../tasks/tests/common/mod.rs"]
mod common;

use std::cell::{Cell, RefCell};

use common::{ShellGuest, value};
use drivers::{Call, Errno};
use fake_xen::Task;
use trials::cycles;

/// Runs `cycles` cycles in a new domain, after `prepare`. Returns the result line.
fn line(seed: u64, cycles: u32, heap: &dyn Fn() -> u64, prepare: impl Fn(&ShellGuest)) -> String {
    let guest = ShellGuest::alone();
    let said = RefCell::new(String::new());
    let task = async {
        let start = async { prepare(&guest) };
        *said.borrow_mut() = cycles::run(&guest.services, heap, (seed, cycles), start).await;
    };
    guest.xen.world().run([Task::new(&guest.events, task)]);
    guest.xen.deny(Call::GnttabUnmap, None);
    guest.gntdev.retry_stuck();
    guest.end();
    said.into_inner()
}

#[test]
fn every_cycle_leaves_everything_as_it_was() {
    for seed in 0..5 {
        let line = line(seed, 100, &|| 0, |_| ());
        assert!(line.starts_with(&format!("ok cycles seed={seed} cycles=100 pages=")), "{line}");
        for key in ["pages", "writable", "parked", "bytes", "events"] {
            assert_ne!(value(&line, key), "0", "{line}");
        }
    }
}

#[test]
fn the_same_seed_does_the_same() {
    let twice = [0, 1].map(|_| line(9, 20, &|| 0, |_| ()));
    assert_eq!(twice[0], twice[1]);
    assert_ne!(twice[0], line(10, 20, &|| 0, |_| ()));
}

#[test]
fn a_growing_heap_is_reported() {
    let heap = Cell::new(0);
    let growing = || heap.replace(heap.get() + 1);
    let line = line(1, 3, &growing, |_| ());
    assert!(line.starts_with("error cycles errno=EIO status=- seed 1, cycle 1: "), "{line}");
    assert!(line.contains("with the heap"), "{line}");
}

#[test]
fn a_page_that_xen_does_not_unmap_is_reported() {
    let line = line(1, 3, &|| 0, |guest| {
        guest.xen.deny(Call::GnttabUnmap, Some(Errno::EINVAL));
    });
    assert!(line.starts_with("error cycles errno=EIO status=- seed 1, cycle 1: "), "{line}");
}
