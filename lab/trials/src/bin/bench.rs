// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures what each operation costs, and prints a line for each.
//!
//! Needs QEMU's `-icount shift=0,sleep=off`, and memory for 10,000 shared pages.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "the raw Xen, for its own share")]

use grantkit::{Guest, power, println};
use trials::bench::clock::ticks;
use trials::bench::{self, Plan, SIZES, Tools};

grantkit::entry!(main);

/// The number of live grants at the end.
const LIVE: u32 = 10_000;

async fn main(guest: Guest) {
    // SAFETY: bench::prepared uses only pages, addresses and mappings of its own, and gives each
    // back once.
    let xen = unsafe { grantkit::raw::xen() };
    let heap = || guest.memory_usage().heap;
    let tools = Tools { services: guest.services(), xen: &xen, ticks, heap: &heap };
    match bench::run(tools, Plan { sizes: SIZES, live: LIVE }) {
        Ok(rows) => rows.tell(|line| println!("{line}")),
        Err(why) => println!("error bench errno=EIO status=- {why}"),
    }
    power::reboot()
}
