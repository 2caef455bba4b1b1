//! A view of a read-only mapping has no write either.

use drivers::gntdev::{Mapping, ReadOnly};
use drivers::shared::Shared;
use fake_xen::FakeXen;

fn write_through_a_view_of_a_read_only_mapping_does_not_compile(
    mapping: Mapping<FakeXen, ReadOnly>,
) {
    let _ = mapping.view(0, 8).unwrap().write(0, &[1]);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
