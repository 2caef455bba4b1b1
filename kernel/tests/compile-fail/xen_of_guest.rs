//! What an application gets of Xen doesn't hand out the seam.

use grantkit::{Guest, Xen};

fn steal(guest: &Guest) -> Xen {
    guest.services().system.0
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
