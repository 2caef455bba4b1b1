// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fallible growth of a `Vec`.
//!
//! Each function checks again for room before it adds an item. This proves it to the compiler,
//! which then leaves no path in the image that aborts when memory runs out.

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
/// ENOMEM; earlier items stay in the list.
pub fn extend<T>(list: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Result<(), Error> {
    items.into_iter().try_for_each(|item| push(list, item))
}
