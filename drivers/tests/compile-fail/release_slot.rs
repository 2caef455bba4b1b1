//! Releasing address space is a promise that nothing is mapped there.

use drivers::memory::{Memory, PageSlot};
use fake_xen::FakeXen;

fn giving_address_space_back_without_unsafe_does_not_compile(xen: FakeXen, slot: PageSlot) {
    xen.release_slot(slot);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
