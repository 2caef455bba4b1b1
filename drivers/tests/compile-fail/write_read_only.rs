//! A read-only mapping has no write.

use drivers::gntdev::{Mapping, ReadOnly};
use drivers::shared::SharedMut;
use fake_xen::FakeXen;

fn write_through_a_read_only_mapping_does_not_compile(mapping: Mapping<FakeXen, ReadOnly>) {
    let _ = mapping.write(0, &[1]);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
