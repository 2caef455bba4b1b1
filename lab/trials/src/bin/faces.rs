// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures the plain and the ioctl face, and a channel with both ends in one domain, and prints a
//! line for each operation.
//!
//! Needs QEMU's `-icount shift=0,sleep=off`.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "the raw Xen, and the time stamp counter")]

use core::arch::x86_64::{_mm_lfence, _rdtsc};

use grantkit::{Guest, power, println};
use trials::bench::{self, FACES, Tools};

grantkit::entry!(main);

async fn main(guest: Guest) {
    // SAFETY: nothing is done with it.
    let xen = unsafe { grantkit::raw::xen() };
    let heap = || guest.memory_usage().heap;
    let tools = Tools { services: guest.services(), xen: &xen, ticks, heap: &heap };
    match bench::run_others(tools, FACES).await {
        Ok(rows) => {
            rows.iter().for_each(|row| println!("{row}"));
            println!("ok bench rows={}", rows.len());
        }
        Err(why) => println!("error bench errno=EIO status=- {why}"),
    }
    power::reboot()
}

#[inline(never)]
fn ticks() -> u64 {
    // SAFETY: every processor of the target has the instruction.
    unsafe { _mm_lfence() };
    // SAFETY: in dom0's place Xen lets a guest read the counter.
    unsafe { _rdtsc() }
}
