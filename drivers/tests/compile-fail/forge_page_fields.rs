//! A page has no public fields.

use drivers::memory::Page;

fn making_a_page_of_its_parts_does_not_compile() {
    let _page = Page { addr: 0x1000, gfn: 1, clean: true };
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
