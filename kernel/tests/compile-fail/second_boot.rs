//! Services come up once: the token for it can't be made.

use grantkit::Xen;
use grantkit::drivers::{Boot, ConsoleDevice, SharedPage};
use grantkit::drivers::{Limits, Services};

fn again(xen: Xen) {
    let page = SharedPage::new(xen, &Default::default());
    let boot = Boot::new(xen, page, ConsoleDevice::Hypervisor, None);
    let _ = Services::bring_up(boot, Limits::default());
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
