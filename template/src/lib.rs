//! The guest's logic, generic over the platform: a [`Platform`] is Xen, or the fake Xen of the
//! tests.
#![no_std]
#![forbid(unsafe_code)]

use grantkit::prelude::*;

/// Shares a page with `text` at its start, which `peer` can read as long as the caller keeps it.
///
/// # Errors
/// EINVAL for a text longer than a page; ENOMEM or ENOSPC if no page or grant is left.
pub fn greet<X: Platform>(
    services: &Services<X>,
    peer: DomId,
    text: &[u8],
) -> Result<Export<X>, Error> {
    let page = services.gntalloc.open().alloc(peer, Pages(1), Access::ReadOnly)?;
    page.write(0, text)?;
    Ok(page)
}
