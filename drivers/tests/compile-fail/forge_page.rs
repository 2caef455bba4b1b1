//! Only an implementor of the memory seam creates pages.

use drivers::memory::Page;

fn making_a_page_without_unsafe_does_not_compile() {
    let _page = Page::new(0x1000, 1, true);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
