//! Exports, reservations, mappings and boots can't be copied.

use drivers::Boot;
use drivers::gntalloc::Export;
use drivers::gntdev::{Mapping, ReadWrite, Reservation};
use fake_xen::FakeXen;

fn a_second_copy_of_a_value_does_not_compile(
    export: Export<FakeXen>,
    reservation: Reservation<FakeXen>,
    mapping: Mapping<FakeXen, ReadWrite>,
    boot: Boot<FakeXen>,
) {
    let _ = export.clone();
    let _ = reservation.clone();
    let _ = mapping.clone();
    let _ = boot.clone();
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
