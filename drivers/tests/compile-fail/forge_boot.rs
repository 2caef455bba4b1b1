//! A kernel boots once, and promises so by `unsafe`.

use drivers::{Boot, ConsoleDevice, SharedPage};
use fake_xen::FakeXen;
use xen_sys::xen::SharedInfo;

fn making_a_boot_without_unsafe_does_not_compile(
    xen: FakeXen,
    shared_info: SharedPage<FakeXen, SharedInfo>,
) {
    let _boot = Boot::new(xen, shared_info, ConsoleDevice::Hypervisor, None);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
