//! An index device hands out no values.

use drivers::ClaimedGrant;
use drivers::gntdev::IndexDevice;
use fake_xen::FakeXen;

fn a_typed_value_of_a_device_by_index_does_not_compile(device: IndexDevice<FakeXen>) {
    let _ = device.reserve(&[ClaimedGrant::new(1, 8)]);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
