//! Mapping consumes the reservation, so there is none left to map over.

use drivers::gntdev::{ReadOnly, ReadWrite, Reservation};
use fake_xen::FakeXen;

fn mapping_over_a_live_mapping_does_not_compile(reservation: Reservation<FakeXen>) {
    let _writable = reservation.map::<ReadWrite>();
    let _readable = reservation.map::<ReadOnly>();
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
