//! Freeing a page is a promise that no grant entry names it.

use drivers::memory::{Memory, Page};
use fake_xen::FakeXen;

fn giving_a_page_back_without_unsafe_does_not_compile(xen: FakeXen, page: Page) {
    xen.free_page(page);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
