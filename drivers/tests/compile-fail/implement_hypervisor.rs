//! An implementor of the Xen seam promises what `raw` relies on.

use drivers::Hypervisor;

struct Mine;

impl Hypervisor for Mine {}

fn implementing_hypervisor_without_unsafe_does_not_compile(_: Mine) {}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
