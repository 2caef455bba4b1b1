// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which machine frame is behind a PFN, and which PFN a machine frame is.
//!
//! For the frames that the domain was started with the builder made a list; those that come later
//! have lists of 512 each, in frames of the pool. The way back is Xen's table, and believed only
//! where ours says the same. A place without a frame holds [`NONE`].
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

/// Addresses of lists that hold the addresses of lists of later frames: 1 GiB each. Most guests have
/// none. 0 for none.
static LATER: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// The machine frame behind `pfn`.
pub fn mfn_of(pfn: Pfn) -> Option<Gfn> {
    let mfn = place(pfn)?.load(Ordering::Relaxed);
    (mfn != NONE).then_some(Gfn(mfn))
}

/// The frame of this domain that `mfn` is.
pub fn pfn_of(mfn: Gfn) -> Option<Pfn> {
    let entry = M2P.wrapping_add(mfn.0 as usize);
    // SAFETY: `mfn` comes from the P2M, a page-table entry or start_info, so the machine has it
    // and Xen's table, which it may be changing, covers it.
    let pfn = Pfn(unsafe { entry.read_volatile() });
    (mfn_of(pfn) == Some(mfn)).then_some(pfn)
}

/// Says which frame is behind `pfn` from now on.
///
/// # Errors
/// ENOSPC without room for it.
pub fn set(pfn: Pfn, mfn: Option<Gfn>) -> Result<(), Errno> {
    let place = place(pfn).ok_or(Errno::ENOSPC)?;
    place.store(mfn.map_or(NONE, |mfn| mfn.0), Ordering::Relaxed);
    Ok(())
}

/// Makes room for `pfn`, if it's not one of those that the domain was started with.
///
/// # Errors
/// ENOSPC beyond 16 GiB of these; ENOMEM without a frame for the list.
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

/// The list at the address in `place`, made of a frame and full of `word` if there is none.
fn made(take: Source<'_>, place: &AtomicU64, word: u64) -> Result<&'static List, Errno> {
    if let Some(list) = list_at(place) {
        return Ok(list);
    }
    let address = translate::address_of(take().ok_or(Errno::ENOMEM)?);
    let words = ptr::with_exposed_provenance_mut::<u64>(address);
    for at in 0..TABLE_ENTRIES {
        // SAFETY: a frame of the pool, mapped at its address, and this list's for good.
        unsafe { words.wrapping_add(at).write(word) };
    }
    place.store(address as u64, Ordering::Release);
    list_at(place).ok_or(Errno::ENOMEM)
}

/// The list whose address is in `place`.
fn list_at(place: &AtomicU64) -> Option<&'static List> {
    let list = ptr::with_exposed_provenance::<List>(place.load(Ordering::Acquire) as usize);
    // SAFETY: null, or a list that `made` made for good, all of it atomic.
    unsafe { list.as_ref() }
}

/// Where the GFN of a later frame is: in which of [`LATER`], of its lists, and where in that.
fn later(pfn: Pfn) -> Option<[usize; 3]> {
    let number = pfn.0.checked_sub(frame_list().len() as u64)? as usize;
    let list = number / TABLE_ENTRIES;
    Some([list / TABLE_ENTRIES, list % TABLE_ENTRIES, number % TABLE_ENTRIES])
}
