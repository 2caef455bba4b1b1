// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the conformance scenarios on Grantkit's devices and prints their transcript, as dom0's
//! program does for Linux's.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;

use grantkit::Guest;

grantkit::entry!(main);

async fn main(guest: Guest) {
    let services = guest.services();
    let mut lines = 0;
    for scenario in conformance::all() {
        for line in trials::conformance::run(scenario, services) {
            // Waits for room in the console: a lost line would count as a difference.
            services.console.print(format!("{line}\n").as_bytes()).await;
            lines += 1;
        }
    }
    let last = conformance::last_line(lines);
    services.console.print(format!("{last}\n").as_bytes()).await;
}
