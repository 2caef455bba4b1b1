//! Reading and writing by address is a promise about the address.

use drivers::memory::Memory;
use fake_xen::FakeXen;

fn touching_an_address_without_unsafe_does_not_compile(xen: FakeXen) {
    xen.read(0x1000, &mut [0]);
    xen.write(0x1000, &[0]);
    let _ = xen.load_u32(0x1000);
    xen.store_u32(0x1000, 0);
    xen.zero_page(0x1000);
    let _ = xen.probe_write(0x1000, 0);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
