//! Address space has no public fields.

use drivers::memory::PageSlot;

fn making_a_slot_of_its_parts_does_not_compile() {
    let _slot = PageSlot { addr: 0x1000, pages: 1 };
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
