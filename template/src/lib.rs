//! What the guest does. It is generic over what it runs on: a [`Platform`] is Xen, or the fake Xen
//! of the tests.
#![no_std]
#![forbid(unsafe_code)]

use grantkit::prelude::*;

/// Shares a page that `peer` can read, with `text` at its start, for as long as the caller keeps
/// it.
///
/// # Errors
/// EINVAL for a text longer than a page, ENOMEM or ENOSPC where there is no page or grant left.
pub fn greet<X: Platform>(
    services: &Services<X>,
    peer: DomId,
    text: &[u8],
) -> Result<Export<X>, Error> {
    let page = services.gntalloc.open().alloc(peer, Pages(1), Access::ReadOnly)?;
    page.write(0, text)?;
    Ok(page)
}
