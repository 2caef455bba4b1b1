// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plays a part in the demo (`part=granter` or `part=mapper`), and crashes at the first key.
#![no_std]
#![no_main]

use embassy_futures::select::select;
use grantkit::{Crash, Guest, println};
use tasks::cmdline::CommandLine;
use tasks::{DemoPlan, Part};

grantkit::entry!(main);

async fn main(guest: Guest) {
    let services = guest.services();
    let line = guest.command_line();
    let part = match CommandLine::parse(&line).options().flatten().next() {
        Some(("part", "granter")) => Part::Granter,
        _ => Part::Mapper,
    };
    let run = async {
        println!("{}", tasks::play(services, part, DemoPlan::FULL).await);
        core::future::pending::<()>().await
    };
    select(run, services.console.input(&mut [0])).await;
    grantkit::crash(Crash::Null)
}
