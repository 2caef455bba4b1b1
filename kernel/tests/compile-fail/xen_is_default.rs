//! A `Xen` doesn't come out of nothing.

fn main() {
    let _: grantkit::Xen = Default::default();
}
// SPDX-License-Identifier: MIT OR Apache-2.0
