// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists that grow, or say that they can't.
//!
//! Whether there is room for an item is looked at once more before it is added: so the compiler
//! knows, too, and leaves no path in the image on which a list without memory aborts.

use alloc::vec::Vec;

use crate::Error;

/// Adds an item.
///
/// # Errors
/// ENOMEM.
pub fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), Error> {
    list.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
    if list.len() == list.capacity() {
        return Err(Error::NO_MEMORY);
    }
    list.push(item);
    Ok(())
}

/// Adds items one by one.
///
/// # Errors
/// ENOMEM; the items before are in the list.
pub fn extend<T>(list: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Result<(), Error> {
    items.into_iter().try_for_each(|item| push(list, item))
}
