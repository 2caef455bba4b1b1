//! A typed device doesn't unmap by address: a mapping unmaps itself.

use drivers::gntdev::{Device, Mapping, ReadOnly};
use fake_xen::FakeXen;

fn unmapping_a_mapping_by_its_address_does_not_compile(
    device: Device<FakeXen>,
    mapping: Mapping<FakeXen, ReadOnly>,
) {
    let _ = device.munmap(mapping.addr(), mapping.pages());
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
