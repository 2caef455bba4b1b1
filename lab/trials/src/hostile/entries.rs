// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the hostile guest's own grant entries, behind the grant table's back.
//!
//! Nothing else in this crate needs the raw Xen.
#![expect(unsafe_code, reason = "a grant entry is an order to Xen, and these are wrong on purpose")]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use drivers::gntalloc::Export;
use drivers::memory::Platform;
use tasks::pattern::SplitMix64;

/// Bits of an entry's flags: its type, and read-only.
const PERMIT_ACCESS: u16 = 1;
const READONLY: u16 = 4;

/// One entry's fields.
struct Fields<'a> {
    flags: &'a AtomicU16,
    domid: &'a AtomicU16,
    frame: &'a AtomicU32,
}

/// Calls `act` for the entry of every granted page. Returns how many there are.
fn each<X: Platform>(
    xen: &X,
    exports: &[Export<X>],
    mut act: impl FnMut(&Export<X>, Fields<'_>),
) -> usize {
    // SAFETY: only this guest's own entries are written. The other half of the duty, to name only
    // frames of held pages, `rewrite` violates on purpose: a frame that it makes up may be in use
    // by this guest, and then the peer can write there. A hostile guest is disposable.
    let entries = unsafe { xen.grant_entries() };
    let mut count = 0;
    for export in exports {
        for gref in export.grefs() {
            let entry = &entries[gref.0 as usize];
            let fields = Fields { flags: &entry.flags, domid: &entry.domid, frame: &entry.frame };
            act(export, fields);
            count += 1;
        }
    }
    count
}

/// Ends every grant, whoever maps it.
pub(super) fn revoke<X: Platform>(xen: &X, exports: &[Export<X>]) -> usize {
    each(xen, exports, |_, entry| entry.flags.store(0, Ordering::Relaxed))
}

/// Makes every entry grant again what it did before, whatever the peer does with it meanwhile.
pub(super) fn restore<X: Platform>(xen: &X, exports: &[Export<X>]) -> usize {
    each(xen, exports, |export, entry| {
        entry.domid.store(export.peer().get(), Ordering::Relaxed);
        entry.flags.store(PERMIT_ACCESS, Ordering::Release);
    })
}

/// Returns the frame of every entry.
pub(super) fn frames<X: Platform>(xen: &X, exports: &[Export<X>]) -> Vec<u32> {
    let mut frames = Vec::new();
    each(xen, exports, |_, entry| frames.push(entry.frame.load(Ordering::Relaxed)));
    frames
}

/// Writes the frames of `frames` back.
pub(super) fn set_frames<X: Platform>(xen: &X, exports: &[Export<X>], frames: &[u32]) {
    let mut frames = frames.iter().copied();
    each(xen, exports, |_, entry| {
        entry.frame.store(frames.next().unwrap_or_default(), Ordering::Relaxed);
    });
}

/// Writes one field of every entry, or restores the entry. Returns how many entries there are.
pub(super) fn rewrite<X: Platform>(
    xen: &X,
    exports: &[Export<X>],
    frames: &[u32],
    draw: &mut SplitMix64,
) -> u64 {
    let mut frames = frames.iter().copied();
    let written = each(xen, exports, |export, Fields { flags, domid, frame }| {
        let own = frames.next().unwrap_or_default();
        let word = draw.next().unwrap_or_default();
        match word % 10 {
            0 => flags.store(0, Ordering::Relaxed),
            1 => flags.store(PERMIT_ACCESS | READONLY, Ordering::Relaxed),
            2 => flags.store((word >> 16) as u16, Ordering::Relaxed),
            3 => domid.store((word >> 16) as u16, Ordering::Relaxed),
            4 => frame.store((word >> 16) as u32, Ordering::Relaxed),
            _ => {
                frame.store(own, Ordering::Relaxed);
                domid.store(export.peer().get(), Ordering::Relaxed);
                flags.store(PERMIT_ACCESS, Ordering::Relaxed);
            }
        }
    });
    written as u64
}
