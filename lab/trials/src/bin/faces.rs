// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures the plain and the ioctl face, and a channel with both ends in one domain, and prints a
//! line for each operation.
//!
//! Needs QEMU's `-icount shift=0,sleep=off`.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "the raw Xen")]

use grantkit::{Guest, power, println};
use trials::bench::clock::ticks;
use trials::bench::{self, FACES, Tools};

grantkit::entry!(main);

async fn main(guest: Guest) {
    // SAFETY: nothing is done with it.
    let xen = unsafe { grantkit::raw::xen() };
    let heap = || guest.memory_usage().heap;
    let tools = Tools { services: guest.services(), xen: &xen, ticks, heap: &heap };
    match bench::run_others(tools, FACES).await {
        Ok(rows) => rows.tell(|line| println!("{line}")),
        Err(why) => println!("error bench errno=EIO status=- {why}"),
    }
    power::reboot()
}
