//! The door to the seam is unsafe to go through.

fn main() {
    let _ = grantkit::raw::xen();
}
// SPDX-License-Identifier: MIT OR Apache-2.0
