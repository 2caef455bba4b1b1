//! Only an implementor of the memory seam creates address space.

use drivers::memory::PageSlot;

fn making_a_slot_without_unsafe_does_not_compile() {
    let _slot = PageSlot::new(0x1000, 1);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
