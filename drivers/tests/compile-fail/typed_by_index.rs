//! A typed device has no indices: a reservation is a value.

use drivers::Pages;
use drivers::gntdev::{Device, Reservation};
use fake_xen::FakeXen;

fn removing_part_of_a_reservation_by_its_index_does_not_compile(
    device: Device<FakeXen>,
    reservation: Reservation<FakeXen>,
) {
    let _ = device.unmap_grant_ref(reservation.index(), Pages(1));
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
