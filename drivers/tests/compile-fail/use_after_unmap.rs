//! Unmapping consumes the mapping.

use drivers::gntdev::{Mapping, ReadWrite};
use drivers::shared::Shared;
use fake_xen::FakeXen;

fn use_after_unmap_does_not_compile(mapping: Mapping<FakeXen, ReadWrite>) {
    let _ = mapping.unmap();
    let _ = mapping.read(0, &mut [0]);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
