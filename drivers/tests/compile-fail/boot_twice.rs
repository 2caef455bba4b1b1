//! Bringing up the services consumes the boot.

use drivers::{Boot, Limits, Services};
use fake_xen::FakeXen;

fn bringing_services_up_twice_with_one_boot_does_not_compile(boot: Boot<FakeXen>) {
    let _ = Services::bring_up(boot, Limits::default());
    let _ = Services::bring_up(boot, Limits::default());
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
