// SPDX-License-Identifier: MIT OR Apache-2.0
//! Growing a list to a given length at once.
//!
//! `Vec::resize` aborts if memory runs out; this function returns an error instead.

use alloc::vec::Vec;

use crate::Error;

/// Lengthens a list to `len` items, if it is shorter, with copies of `item` and without spare
/// capacity.
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
    // SAFETY: there is room for `len` items, and all new ones have just been written.
    unsafe { list.set_len(len) };
    Ok(())
}
