//! What an application gets of Xen makes no hypercall of its choice and takes no page.

use grantkit::Guest;
use grantkit::drivers::Hypervisor;
use grantkit::drivers::memory::Memory;

fn take(guest: &Guest) {
    let _ = guest.services().system.alloc_page();
    guest.services().system.console_io_write(b"hm");
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
