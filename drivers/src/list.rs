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

/// Makes a list of `len` items, new ones like `item`; no longer than it has to be.
///
/// # Errors
/// ENOMEM.
pub fn resize<T: Clone>(list: &mut Vec<T>, len: usize, item: T) -> Result<(), Error> {
    let more = len.saturating_sub(list.len());
    list.try_reserve_exact(more).map_err(|_| Error::NO_MEMORY)?;
    if list.capacity() - list.len() < more {
        return Err(Error::NO_MEMORY);
    }
    list.resize(len, item);
    Ok(())
}
