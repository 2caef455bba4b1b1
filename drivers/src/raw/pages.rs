//! Reading, writing and scrubbing pages of ours that a peer may be mapping.
//!
//! A [`Page`] proves that the memory is there and is ours; the peer may write it at any moment,
//! so bytes are copied in and out and never lent.

use crate::memory::{PAGE_SIZE, Page, Platform};
use crate::shared::by_page;
use crate::{Counters, Error};

/// Copies `bytes` out of a page from `offset` on.
///
/// # Panics
/// If the range leaves the page; callers split by page.
pub(crate) fn read<X: Platform>(xen: &X, page: &Page, offset: usize, bytes: &mut [u8]) {
    assert!(offset <= PAGE_SIZE && bytes.len() <= PAGE_SIZE - offset);
    Counters::add(&xen.counters().copied, bytes.len() as u64);
    // SAFETY: the range lies in `page`, which the caller holds.
    unsafe { xen.read(page.addr() + offset, bytes) };
}

/// Copies `bytes` into a page from `offset` on.
///
/// # Panics
/// If the range leaves the page, since callers split by page; or if the page is taken to be
/// clean: its holder says otherwise before the first write.
pub(crate) fn write<X: Platform>(xen: &X, page: &Page, offset: usize, bytes: &[u8]) {
    assert!(offset <= PAGE_SIZE && bytes.len() <= PAGE_SIZE - offset && !page.is_clean());
    Counters::add(&xen.counters().copied, bytes.len() as u64);
    // SAFETY: the range lies in `page`, which the caller holds.
    unsafe { xen.write(page.addr() + offset, bytes) };
}

/// Copies bytes out of a run of pages, from `offset` in the first on. `page_of`: by number.
pub(crate) fn read_run<'p, X: Platform>(
    xen: &X,
    page_of: impl Fn(usize) -> &'p Page,
    offset: usize,
    bytes: &mut [u8],
) {
    let mut rest = bytes;
    for (page, in_page, len) in by_page(offset, rest.len()) {
        let (now, later) = rest.split_at_mut(len);
        read(xen, page_of(page as usize), in_page, now);
        rest = later;
    }
}

/// Copies bytes into a run of pages, from `offset` in the first on. `page_of`: by number.
pub(crate) fn write_run<'p, X: Platform>(
    xen: &X,
    page_of: impl Fn(usize) -> &'p Page,
    offset: usize,
    bytes: &[u8],
) {
    let mut rest = bytes;
    for (page, in_page, len) in by_page(offset, rest.len()) {
        let (now, later) = rest.split_at(len);
        write(xen, page_of(page as usize), in_page, now);
        rest = later;
    }
}

/// Reads an aligned 32-bit word.
///
/// # Panics
/// If the word leaves the page or is not aligned; callers check.
pub(crate) fn load_u32<X: Platform>(xen: &X, page: &Page, offset: usize) -> u32 {
    assert!(offset < PAGE_SIZE && offset.is_multiple_of(4));
    // SAFETY: aligned, and in `page`, which the caller holds.
    unsafe { xen.load_u32(page.addr() + offset) }
}

/// Writes an aligned 32-bit word.
///
/// # Panics
/// If the word leaves the page or is not aligned, since callers check; or if the page is taken to
/// be clean.
pub(crate) fn store_u32<X: Platform>(xen: &X, page: &Page, offset: usize, value: u32) {
    assert!(offset < PAGE_SIZE && offset.is_multiple_of(4) && !page.is_clean());
    // SAFETY: aligned, and in `page`, which the caller holds.
    unsafe { xen.store_u32(page.addr() + offset, value) };
}

/// A zeroed page for the caller.
///
/// # Errors
/// ENOMEM.
pub(crate) fn alloc<X: Platform>(xen: &X) -> Result<Page, Error> {
    let mut page = xen.alloc_page().ok_or(Error::NO_MEMORY)?;
    // A peer must never see what another user of the memory left (XSA-403).
    scrub(xen, &mut page);
    Ok(page)
}

/// Gives a page back, scrubbed: what was in it is nobody else's business.
pub(crate) fn free<X: Platform>(xen: &X, mut page: Page) {
    scrub(xen, &mut page);
    // SAFETY: no entry names it, since `grant_table` keeps a page that it grants in a `Granted`,
    // and gives it back only when its entry is invalid; nobody else can have its address.
    unsafe { xen.free_page(page) };
}

/// Zeroes a page, unless it's known to hold nothing but zeroes.
fn scrub<X: Platform>(xen: &X, page: &mut Page) {
    if page.is_clean() {
        return;
    }
    Counters::add(&xen.counters().zeroed, PAGE_SIZE as u64);
    // SAFETY: the address is that of `page`, which the caller holds.
    unsafe { xen.zero_page(page.addr()) };
    page.set_clean(true);
}
