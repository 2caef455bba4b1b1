//! Whether a page is clean is known to its owner alone.

use drivers::memory::Page;

fn calling_a_page_clean_does_not_compile(mut page: Page) {
    page.set_clean(true);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
