//! Only its owner may mark a page clean.

use drivers::memory::Page;

fn calling_a_page_clean_does_not_compile(mut page: Page) {
    page.set_clean(true);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
