// SPDX-License-Identifier: MIT OR Apache-2.0
//! The domain's size: changes are complete or undone, pages in use stay, and nothing leaks,
//! whatever Xen, the page tables and the heap refuse.

mod common;

use common::errno;
use drivers::balloon::{NotResized, Resized, pages_of_kib};
use drivers::gntdev::ReadWrite;
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, Errno, Error, GrantStatus, Pages};
use embassy_futures::block_on;
use fake_xen::heap::{self, Heap};
use fake_xen::{Config, Fault, Guest, Pair};

#[global_allocator]
static HEAP: Heap = Heap;

const BOOT: u32 = 512;
const MAX: u32 = 1024;
/// More pages than two hypercalls move.
const SOME: u32 = 130;

fn pair() -> Pair {
    let alice = Config { pages: BOOT, max_pages: MAX, ..Config::default() };
    Pair::of(alice, Config { max_maptrack_frames: 16, ..Config::default() })
}

fn resize(guest: &Guest, pages: u32) -> Result<Resized, NotResized> {
    block_on(guest.balloon.resize(Pages(pages)))
}

/// Returns the guest's size according to Xen, the allocator and the guest itself.
fn sizes(guest: &Guest) -> (u32, u32, u32) {
    let frames = guest.system.frames();
    (guest.balloon.pages().0, frames.total, frames.free)
}

/// Checks that every free page can be allocated, granted and mapped.
fn assert_usable(pair: &Pair) {
    let free = pair.alice.system.frames().free;
    pair.alice.gntalloc.set_limit(MAX);
    let export = pair.alice.share(&pair.bob, free);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    for page in 0..free as usize {
        mapping.write(page * 4096, &page.to_le_bytes()).unwrap();
    }
    for page in 0..free as usize {
        let mut bytes = [0; 8];
        export.read(page * 4096, &mut bytes).unwrap();
        assert_eq!(usize::from_le_bytes(bytes), page);
    }
    drop((mapping, export));
    pair.assert_clean();
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn a_guest_shrinks_and_grows_up_to_maxmem_and_can_use_all_its_pages() {
    let pair = pair();
    assert_eq!(resize(&pair.alice, BOOT), Ok(Resized::Not));
    for (target, done) in [
        (300, Resized::Shrunk(Pages(212))),
        (BOOT, Resized::Grown(Pages(212))),
        (MAX, Resized::Grown(Pages(512))),
        (65, Resized::Shrunk(Pages(MAX - 65))),
        (MAX, Resized::Grown(Pages(MAX - 65))),
    ] {
        assert_eq!(resize(&pair.alice, target), Ok(done));
        assert_eq!(sizes(&pair.alice), (target, target, target));
        assert_usable(&pair);
    }
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn more_than_maxmem_is_refused_and_changes_nothing() {
    let pair = pair();
    for target in [MAX + 1, MAX + 500, u32::MAX] {
        let refused = resize(&pair.alice, target).unwrap_err();
        assert_eq!((refused.error.errno(), refused.off), (Errno::ENOSPC, 0));
        assert_eq!(sizes(&pair.alice), (BOOT, BOOT, BOOT));
    }
    assert_usable(&pair);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn pages_in_use_granted_or_mapped_are_never_given_back() {
    let pair = pair();
    let export = pair.alice.share(&pair.bob, 300);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    let theirs = pair.bob.share(&pair.alice, 3);
    let mapped = pair.alice.map::<ReadWrite>(&pair.bob.offer(&theirs));
    for target in [0, 1, 299, 300, 363] {
        let refused = resize(&pair.alice, target).unwrap_err();
        assert_eq!((refused.error.errno(), refused.off), (Errno::ENOMEM, 0), "{target}");
        assert!(refused.to_string().contains("in use"));
        assert_eq!(sizes(&pair.alice), (BOOT, BOOT, BOOT - 300));
    }
    assert_eq!(resize(&pair.alice, 364), Ok(Resized::Shrunk(Pages(BOOT - 364))));
    mapping.write(0, b"still").unwrap();
    mapped.write(0, b"there").unwrap();
    // Just the 64 kept pages are left.
    let device = pair.alice.gntalloc.open();
    let alloc = |pages| device.alloc(pair.bob.domid, Pages(pages), Access::ReadWrite);
    assert_eq!(errno(alloc(65).map(drop)), Errno::ENOMEM);
    drop(alloc(64).expect("the pages that are kept"));
    drop((mapping, export, mapped, theirs));
    assert_eq!(resize(&pair.alice, BOOT), Ok(Resized::Grown(Pages(BOOT - 364))));
    assert_usable(&pair);
}

/// Everything that can stop one of Xen's batches, at each position.
fn faults() -> impl Iterator<Item = (u32, Fault, bool)> {
    (0..SOME).flat_map(|at| {
        let (call, at) = (at / 64, (at % 64) as usize);
        let status = Fault::Status { at, status: GrantStatus::GENERAL_ERROR };
        let errno = Fault::Hypercall { at, errno: Errno::EPERM };
        [(call, status, false), (call, errno, at == 0)]
    })
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn whatever_xen_refuses_at_any_extent_is_undone() {
    let pair = pair();
    for target in [BOOT - SOME, BOOT + SOME] {
        for (call, fault, fails) in faults() {
            pair.alice.xen.inject_after(call, Call::MemoryOp, fault);
            let refused = resize(&pair.alice, target).unwrap_err();
            let expected = if fails { Errno::EPERM } else { Errno::ENOMEM };
            assert_eq!((refused.error.errno(), refused.off), (expected, 0), "{fault:?}");
            assert_eq!(sizes(&pair.alice), (BOOT, BOOT, BOOT), "{target}: {fault:?}");
        }
        resize(&pair.alice, target).unwrap();
        resize(&pair.alice, BOOT).unwrap();
    }
    assert_usable(&pair);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn a_page_that_cannot_be_unmapped_undoes_the_change() {
    let pair = pair();
    for nth in 0..SOME {
        pair.alice.xen.refuse_detach_after(nth);
        let refused = resize(&pair.alice, BOOT - SOME).unwrap_err();
        assert_eq!((refused.error.errno(), refused.off), (Errno::EINVAL, 0));
        assert_eq!(sizes(&pair.alice), (BOOT, BOOT, BOOT), "{nth}");
    }
    assert_usable(&pair);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn a_page_that_cannot_be_mapped_waits_for_the_next_change() {
    let pair = pair();
    for nth in 0..SOME {
        pair.alice.xen.refuse_attach_after(nth);
        assert_eq!(resize(&pair.alice, BOOT + SOME), Ok(Resized::Grown(Pages(SOME))));
        assert_eq!(sizes(&pair.alice).0, BOOT + SOME);
        resize(&pair.alice, BOOT).unwrap();
        assert_eq!(sizes(&pair.alice), (BOOT, BOOT, BOOT), "{nth}");
    }
    // The same while frames that Xen didn't take are mapped again.
    pair.alice.xen.inject_after(0, Call::MemoryOp, Fault::Untouched { at: 3 });
    pair.alice.xen.refuse_attach_after(7);
    resize(&pair.alice, BOOT - 20).unwrap_err();
    assert_eq!(sizes(&pair.alice).0, BOOT);
    assert_eq!(resize(&pair.alice, BOOT + 1), Ok(Resized::Grown(Pages(1))));
    resize(&pair.alice, BOOT).unwrap();
    assert_eq!(sizes(&pair.alice), (BOOT, BOOT, BOOT));
    assert_usable(&pair);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn a_change_that_cannot_be_undone_is_reported() {
    let pair = pair();
    let refuse =
        |call| pair.alice.xen.inject_after(call, Call::MemoryOp, Fault::Untouched { at: 0 });
    for (target, off) in [(BOOT - SOME, -64), (BOOT + SOME, 64)] {
        refuse(1);
        refuse(2);
        let refused = resize(&pair.alice, target).unwrap_err();
        assert_eq!(refused.off, off);
        assert!(refused.to_string().contains(&format!("{off:+} pages")), "{refused}");
        let now = BOOT.strict_add_signed(off as i32);
        assert_eq!(sizes(&pair.alice), (now, now, now));
        resize(&pair.alice, BOOT).unwrap();
    }
    pair.alice.xen.deny(Call::MemoryOp, Some(Errno::ENOSYS));
    let refused = resize(&pair.alice, BOOT - 1).unwrap_err();
    assert_eq!(refused.error, Error::Hypercall(Call::MemoryOp, Errno::ENOSYS));
    pair.alice.xen.deny(Call::MemoryOp, None);
    assert_usable(&pair);
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn without_heap_a_change_is_complete_or_undone() {
    for target in [BOOT - SOME, BOOT + SOME] {
        for answered in 0.. {
            let pair = pair();
            let (done, refused) = heap::refuse(answered, || resize(&pair.alice, target));
            let size = if done.is_ok() { target } else { BOOT };
            assert_eq!(sizes(&pair.alice), (size, size, size), "{answered}");
            if !refused {
                assert!(done.is_ok() && answered > 0);
                break;
            }
            assert_usable(&pair);
        }
    }
}

#[test]
fn a_page_is_4_kib() {
    let pages = [0, 3, 4, 4095, 4 << 32].map(pages_of_kib);
    assert_eq!(pages, [None, None, Some(Pages(1)), Some(Pages(1023)), None]);
}
