//! Unmapping consumes the mapping.

use drivers::gntdev::{Mapping, ReadOnly};
use fake_xen::FakeXen;

fn double_unmap_does_not_compile(mapping: Mapping<FakeXen, ReadOnly>) {
    let _ = mapping.unmap();
    let _ = mapping.unmap();
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
