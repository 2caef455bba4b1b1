// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading, writing and scrubbing pages of our own that a peer may be mapping.
//!
//! A [`Page`] proves that the memory exists and is ours. The peer may write it at any moment, so
//! bytes are copied in and out, and never referenced.

use crate::memory::{PAGE_SIZE, Page, Platform};
use crate::shared::{OUTSIDE, by_page, check_range, check_word, is_within};
use crate::{Counters, Error};

/// Copies `bytes` out of a page from `offset` on.
///
/// # Errors
/// EINVAL if the range leaves the page.
pub(crate) fn read<X: Platform>(
    xen: &X,
    page: &Page,
    offset: usize,
    bytes: &mut [u8],
) -> Result<(), Error> {
    check_range(PAGE_SIZE, offset, bytes.len())?;
    Counters::add(&xen.counters().copied, bytes.len() as u64);
    // SAFETY: the range lies in `page`, which the caller holds.
    unsafe { xen.read(page.addr() + offset, bytes) };
    Ok(())
}

/// Copies `bytes` into a page from `offset` on.
///
/// # Errors
/// EINVAL if the range leaves the page.
///
/// # Panics
/// If the page is marked clean.
pub(crate) fn write<X: Platform>(
    xen: &X,
    page: &Page,
    offset: usize,
    bytes: &[u8],
) -> Result<(), Error> {
    check_range(PAGE_SIZE, offset, bytes.len())?;
    assert_may_be_written(page);
    Counters::add(&xen.counters().copied, bytes.len() as u64);
    // SAFETY: the range lies in `page`, which the caller holds.
    unsafe { xen.write(page.addr() + offset, bytes) };
    Ok(())
}

/// Before its first write, a page's holder must mark it as no longer clean; otherwise the next user
/// of the memory would see what was written.
fn assert_may_be_written(page: &Page) {
    assert!(!page.is_clean());
}

/// Copies bytes out of a run of pages, `size()` bytes long, from `offset` on. `page_of` returns a page
/// by number.
///
/// # Errors
/// EINVAL if the range leaves the run.
#[inline]
pub(crate) fn read_run<'p, X: Platform>(
    xen: &X,
    page_of: impl Fn(usize) -> Option<&'p Page>,
    size: impl Fn() -> usize,
    offset: usize,
    bytes: &mut [u8],
) -> Result<(), Error> {
    let in_page = offset % PAGE_SIZE;
    // Usually it all lies in one page.
    if is_within(PAGE_SIZE, in_page, bytes.len())
        && let Some(page) = page_of(offset / PAGE_SIZE)
    {
        return read(xen, page, in_page, bytes);
    }
    read_each(xen, page_of, size(), offset, bytes)
}

/// The same, if it doesn't all lie in one page.
#[cold]
fn read_each<'p, X: Platform>(
    xen: &X,
    page_of: impl Fn(usize) -> Option<&'p Page>,
    size: usize,
    offset: usize,
    mut bytes: &mut [u8],
) -> Result<(), Error> {
    check_range(size, offset, bytes.len())?;
    for (page, in_page, len) in by_page(offset, bytes.len()) {
        let now = bytes.split_off_mut(..len).ok_or(OUTSIDE)?;
        read(xen, page_of(page as usize).ok_or(OUTSIDE)?, in_page, now)?;
    }
    Ok(())
}

/// Copies bytes into a run of pages, `size()` bytes long, from `offset` on. `page_of` returns a page
/// by number.
///
/// # Errors
/// EINVAL if the range leaves the run.
#[inline]
pub(crate) fn write_run<'p, X: Platform>(
    xen: &X,
    page_of: impl Fn(usize) -> Option<&'p Page>,
    size: impl Fn() -> usize,
    offset: usize,
    bytes: &[u8],
) -> Result<(), Error> {
    let in_page = offset % PAGE_SIZE;
    // Usually it all lies in one page.
    if is_within(PAGE_SIZE, in_page, bytes.len())
        && let Some(page) = page_of(offset / PAGE_SIZE)
    {
        return write(xen, page, in_page, bytes);
    }
    write_each(xen, page_of, size(), offset, bytes)
}

/// The same, if it doesn't all lie in one page.
#[cold]
fn write_each<'p, X: Platform>(
    xen: &X,
    page_of: impl Fn(usize) -> Option<&'p Page>,
    size: usize,
    offset: usize,
    mut bytes: &[u8],
) -> Result<(), Error> {
    check_range(size, offset, bytes.len())?;
    for (page, in_page, len) in by_page(offset, bytes.len()) {
        let now = bytes.split_off(..len).ok_or(OUTSIDE)?;
        write(xen, page_of(page as usize).ok_or(OUTSIDE)?, in_page, now)?;
    }
    Ok(())
}

/// Reads an aligned 32-bit word.
///
/// # Errors
/// EINVAL if the word leaves the page or is not aligned.
pub(crate) fn load_u32<X: Platform>(xen: &X, page: &Page, offset: usize) -> Result<u32, Error> {
    check_word(PAGE_SIZE, offset)?;
    // SAFETY: aligned, and in `page`, which the caller holds.
    Ok(unsafe { xen.load_u32(page.addr() + offset) })
}

/// Writes an aligned 32-bit word.
///
/// # Errors
/// EINVAL if the word leaves the page or is not aligned.
///
/// # Panics
/// If the page is marked clean.
pub(crate) fn store_u32<X: Platform>(
    xen: &X,
    page: &Page,
    offset: usize,
    value: u32,
) -> Result<(), Error> {
    check_word(PAGE_SIZE, offset)?;
    assert_may_be_written(page);
    // SAFETY: aligned, and in `page`, which the caller holds.
    unsafe { xen.store_u32(page.addr() + offset, value) };
    Ok(())
}

/// Atomically sets bits of a byte and returns the previous value.
///
/// # Errors
/// EINVAL if the byte lies outside the page.
///
/// # Panics
/// If the page is marked clean.
pub(crate) fn fetch_or_u8<X: Platform>(
    xen: &X,
    page: &Page,
    offset: usize,
    bits: u8,
) -> Result<u8, Error> {
    check_range(PAGE_SIZE, offset, 1)?;
    assert_may_be_written(page);
    // SAFETY: in `page`, which the caller holds.
    Ok(unsafe { xen.fetch_or_u8(page.addr() + offset, bits) })
}

/// Atomically keeps these bits of a byte, clears the others, and returns the previous value.
///
/// # Errors
/// EINVAL if the byte lies outside the page.
///
/// # Panics
/// If the page is marked clean.
pub(crate) fn fetch_and_u8<X: Platform>(
    xen: &X,
    page: &Page,
    offset: usize,
    bits: u8,
) -> Result<u8, Error> {
    check_range(PAGE_SIZE, offset, 1)?;
    assert_may_be_written(page);
    // SAFETY: in `page`, which the caller holds.
    Ok(unsafe { xen.fetch_and_u8(page.addr() + offset, bits) })
}

/// Allocates a zeroed page.
///
/// # Errors
/// ENOMEM.
pub(crate) fn alloc<X: Platform>(xen: &X) -> Result<Page, Error> {
    let mut page = xen.alloc_page().ok_or(Error::NO_MEMORY)?;
    // A peer must never see what another user of the memory left (XSA-403).
    scrub(xen, &mut page);
    Ok(page)
}

/// Allocates `count` zeroed pages and passes each to `take`, which must neither allocate nor free.
/// Returns how many there were: fewer than `count` if memory ran out.
pub(crate) fn alloc_run<X: Platform>(xen: &X, count: u32, mut take: impl FnMut(Page)) -> u32 {
    xen.alloc_pages(count, |mut page| {
        scrub(xen, &mut page);
        take(page);
    })
}

/// Scrubs and frees pages. Iterating over `pages` must neither allocate nor free.
pub(crate) fn free_run<X: Platform>(xen: &X, pages: impl Iterator<Item = Page>) {
    let scrubbed = pages.map(|mut page| {
        scrub(xen, &mut page);
        page
    });
    // SAFETY: as in `free`, for each page.
    unsafe { xen.free_pages(scrubbed) };
}

/// Scrubs and frees a page, so that nobody else sees its content.
pub(crate) fn free<X: Platform>(xen: &X, mut page: Page) {
    scrub(xen, &mut page);
    // SAFETY: no entry names it, since `grant_table` keeps a granted page in a `Granted` until its
    // entry is invalid, and nobody else can have its address.
    unsafe { xen.free_page(page) };
}

/// Zeroes a page, unless it is known to be zero.
fn scrub<X: Platform>(xen: &X, page: &mut Page) {
    if page.is_clean() {
        return;
    }
    Counters::add(&xen.counters().zeroed, PAGE_SIZE as u64);
    // SAFETY: the address is that of `page`, which the caller holds.
    unsafe { xen.zero_page(page.addr()) };
    page.set_clean(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic = "is_clean"]
    fn a_page_marked_clean_is_never_written() {
        // SAFETY: nobody reads or writes at this page's made-up address.
        let page = unsafe { Page::new(PAGE_SIZE, 1, true) };
        assert_may_be_written(&page);
    }
}
