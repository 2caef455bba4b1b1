// SPDX-License-Identifier: MIT OR Apache-2.0
//! Translation between PFNs and machine frames.
//!
//! The builder made a list for the frames that the domain started with; later frames have lists of
//! 512 each, in frames of the pool. Xen's table translates back, and is believed only where ours
//! agrees. A PFN without a frame holds [`NONE`].
#![expect(unsafe_code, reason = "lists in frames of their own, and Xen's table, are by address")]

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use drivers::Errno;

use super::start_info::frame_list;
use crate::metal::memory::tables::Source;
use crate::metal::memory::{Gfn, Pfn, TABLE_ENTRIES, translate};

/// Xen's table from MFN to PFN: `MACH2PHYS_VIRT_START` of xen/include/public/arch-x86/xen-x86_64.h.
const M2P: *const u64 = ptr::without_provenance(0xffff_8000_0000_0000);
/// `INVALID_P2M_ENTRY`.
const NONE: u64 = u64::MAX;

/// A frame that holds a list: of GFNs, or of the addresses of such lists.
type List = [AtomicU64; TABLE_ENTRIES];

/// Addresses of lists, each with the addresses of 512 lists of later frames, together 1 GiB. 0 for
/// none; most guests have none.
static LATER: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// The machine frame of `pfn`.
pub fn mfn_of(pfn: Pfn) -> Option<Gfn> {
    let mfn = place(pfn)?.load(Ordering::Relaxed);
    (mfn != NONE).then_some(Gfn(mfn))
}

/// The PFN of `mfn` in this domain.
pub fn pfn_of(mfn: Gfn) -> Option<Pfn> {
    let entry = M2P.wrapping_add(mfn.0 as usize);
    // SAFETY: `mfn` comes from the P2M, a page-table entry or start_info, so it exists and Xen's
    // table covers it. Volatile, since Xen may be changing the table.
    let pfn = Pfn(unsafe { entry.read_volatile() });
    (mfn_of(pfn) == Some(mfn)).then_some(pfn)
}

/// Sets the machine frame of `pfn`.
///
/// # Errors
/// ENOSPC if there is no room for it.
pub fn set(pfn: Pfn, mfn: Option<Gfn>) -> Result<(), Errno> {
    let place = place(pfn).ok_or(Errno::ENOSPC)?;
    place.store(mfn.map_or(NONE, |mfn| mfn.0), Ordering::Relaxed);
    Ok(())
}

/// Makes room for `pfn`, if the domain didn't start with it.
///
/// # Errors
/// ENOSPC beyond 16 GiB of later frames; ENOMEM without a frame for the list.
pub fn make_room(take: Source<'_>, pfn: Pfn) -> Result<(), Errno> {
    if place(pfn).is_some() {
        return Ok(());
    }
    let [top, list, _] = later(pfn).ok_or(Errno::ENOSPC)?;
    let lists = made(take, LATER.get(top).ok_or(Errno::ENOSPC)?, 0)?;
    made(take, lists.get(list).ok_or(Errno::ENOSPC)?, NONE).map(drop)
}

fn place(pfn: Pfn) -> Option<&'static AtomicU64> {
    if let Some(place) = frame_list().get(pfn.0 as usize) {
        return Some(place);
    }
    let [top, list, at] = later(pfn)?;
    list_at(list_at(LATER.get(top)?)?.get(list)?)?.get(at)
}

/// The list whose address is in `place`; if there is none, creates one in a new frame, filled with
/// `word`.
fn made(take: Source<'_>, place: &AtomicU64, word: u64) -> Result<&'static List, Errno> {
    if let Some(list) = list_at(place) {
        return Ok(list);
    }
    let address = translate::address_of(take().ok_or(Errno::ENOMEM)?);
    let words = ptr::with_exposed_provenance_mut::<u64>(address);
    for at in 0..TABLE_ENTRIES {
        // SAFETY: a frame of the pool, mapped at its address, and this list's for ever.
        unsafe { words.wrapping_add(at).write(word) };
    }
    place.store(address as u64, Ordering::Release);
    list_at(place).ok_or(Errno::ENOMEM)
}

/// The list whose address is in `place`.
fn list_at(place: &AtomicU64) -> Option<&'static List> {
    let list = ptr::with_exposed_provenance::<List>(place.load(Ordering::Acquire) as usize);
    // SAFETY: null, or a list from `made`, which is never freed and all atomic.
    unsafe { list.as_ref() }
}

/// Where the GFN of a later frame is stored: the index in [`LATER`], in that list, and in the inner
/// list.
fn later(pfn: Pfn) -> Option<[usize; 3]> {
    let number = pfn.0.checked_sub(frame_list().len() as u64)? as usize;
    let list = number / TABLE_ENTRIES;
    Some([list / TABLE_ENTRIES, list % TABLE_ENTRIES, number % TABLE_ENTRIES])
}
