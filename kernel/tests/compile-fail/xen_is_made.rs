//! A `Xen` can't be made.
#![allow(unreachable_code)]

fn main() {
    let _ = grantkit::Xen(loop {});
}
// SPDX-License-Identifier: MIT OR Apache-2.0
