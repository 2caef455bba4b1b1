// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest that grants to itself: makes random calls, and compares Xen and the services with the
//! model after each.
//!
//! Options: `seed=1 operations=2000`. Needs a Xen with `gnttab_max_frames=1
//! gnttab_max_maptrack_frames=1`.
#![no_std]
#![no_main]

use grantkit::{Guest, power, println};
use trials::model::{self, Progress};

grantkit::entry!(main);

static PROGRESS: Progress = Progress::new();

async fn main(guest: Guest) {
    power::on_crash(|| println!("{PROGRESS}"));
    let line = guest.command_line();
    model::run(guest.services(), &line, &PROGRESS, || guest.memory_usage().heap).await;
    power::reboot()
}
