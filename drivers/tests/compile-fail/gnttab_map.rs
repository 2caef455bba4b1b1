//! Grant operations name addresses and frames.

use drivers::Hypervisor;
use fake_xen::FakeXen;

fn asking_xen_to_map_unmap_or_copy_without_unsafe_does_not_compile(xen: FakeXen) {
    let _ = xen.gnttab_map(&mut []);
    let _ = xen.gnttab_unmap(&mut []);
    let _ = xen.gnttab_copy(&mut []);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
