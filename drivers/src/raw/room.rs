// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists that are made longer at once.
//!
//! `Vec::resize` asks the heap by itself, and aborts without memory; here whoever asks is told.

use alloc::vec::Vec;

use crate::Error;

/// Makes a list of at least `len` items, new ones like `item`, and no longer than it has to be.
///
/// # Errors
/// ENOMEM.
pub(crate) fn lengthen<T: Copy>(list: &mut Vec<T>, len: usize, item: T) -> Result<(), Error> {
    let more = len.saturating_sub(list.len());
    list.try_reserve_exact(more).map_err(|_| Error::NO_MEMORY)?;
    let places = list.spare_capacity_mut();
    let places = places.get_mut(..more).ok_or(Error::NO_MEMORY)?;
    places.iter_mut().for_each(|place| _ = place.write(item));
    let len = list.len() + more;
    // SAFETY: there is room for so many, and those behind the old ones were written just now.
    unsafe { list.set_len(len) };
    Ok(())
}
