//! Which machine frame is behind a PFN, and which PFN a machine frame is.
//!
//! For the frames that the domain was started with the builder made a list; those that come later
//! have lists of 512 each, in frames of the pool. The way back is Xen's table, and believed only
//! where ours says the same. A place without a frame holds [`NONE`].
#![expect(unsafe_code, reason = "lists in frames of their own, and Xen's table, are by address")]

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use drivers::Errno;

use super::start_info::frame_list;
use crate::metal::memory::tables::Source;
use crate::metal::memory::{Gfn, Pfn, TABLE_ENTRIES, translate};

/// Xen's table from MFN to PFN: `MACH2PHYS_VIRT_START` of xen/include/public/arch-x86/xen-x86_64.h.
const M2P: *const u64 = ptr::without_provenance(0xffff_8000_0000_0000);
/// `INVALID_P2M_ENTRY`.
const NONE: u64 = u64::MAX;

/// One list of later frames.
type List = [AtomicU64; TABLE_ENTRIES];

/// The lists of later frames: 4 GiB.
static LATER: [AtomicPtr<List>; 2048] = [const { AtomicPtr::new(ptr::null_mut()) }; 2048];

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
/// ENOSPC beyond 4 GiB of these; ENOMEM without a frame for the list.
pub fn make_room(take: Source<'_>, pfn: Pfn) -> Result<(), Errno> {
    if place(pfn).is_some() {
        return Ok(());
    }
    let (list, _) = later(pfn).ok_or(Errno::ENOSPC)?;
    let list = LATER.get(list).ok_or(Errno::ENOSPC)?;
    let frame = take().ok_or(Errno::ENOMEM)?;
    let new = ptr::with_exposed_provenance_mut::<List>(translate::address_of(frame));
    // SAFETY: a frame of the pool, mapped at its address, and this list's for good.
    unsafe { new.write([const { AtomicU64::new(NONE) }; TABLE_ENTRIES]) };
    list.store(new, Ordering::Release);
    Ok(())
}

fn place(pfn: Pfn) -> Option<&'static AtomicU64> {
    if let Some(place) = frame_list().get(pfn.0 as usize) {
        return Some(place);
    }
    let (list, at) = later(pfn)?;
    let list = LATER.get(list)?.load(Ordering::Acquire);
    // SAFETY: null, or a list that `make_room` made for good, all of it atomic.
    unsafe { list.as_ref() }?.get(at)
}

/// Which of the lists has a later frame, and where in it.
fn later(pfn: Pfn) -> Option<(usize, usize)> {
    let number = pfn.0.checked_sub(frame_list().len() as u64)? as usize;
    Some((number / TABLE_ENTRIES, number % TABLE_ENTRIES))
}
