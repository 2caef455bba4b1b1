//! A view borrows its mapping.

use drivers::gntdev::{Mapping, ReadWrite};
use drivers::shared::Shared;
use fake_xen::FakeXen;

fn a_view_that_outlives_its_mapping_does_not_compile(mapping: Mapping<FakeXen, ReadWrite>) {
    let view = mapping.view(0, 8).unwrap();
    drop(mapping);
    let _ = view.read(0, &mut [0]);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
