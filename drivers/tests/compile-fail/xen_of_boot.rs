//! A boot's parts can't be taken out of it.

use drivers::Boot;
use fake_xen::FakeXen;

fn taking_xen_out_of_a_boot_does_not_compile(boot: Boot<FakeXen>) {
    let _ = boot.shared_info;
    let _ = boot.xen;
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
