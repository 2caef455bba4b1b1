// SPDX-License-Identifier: MIT OR Apache-2.0
//! One of two domains whose events and channel are measured: `end=listens|connects`, or `end=linux
//! path=<of dom0's server>`; and `trips=<round trips> mib=<of a stream>`.
//!
//! Needs QEMU's `-icount shift=0,sleep=off`, and xl's `tsc_mode="native"`, so that Xen lets it read
//! the counter itself. It stays when it has finished, so that nothing else runs at its peer's end.
#![no_std]
#![no_main]

use grantkit::{Guest, println};
use tasks::cmdline::CommandLine;
use trials::bench::between::{self, Clock, End, Plan};
use trials::bench::clock::ticks;

grantkit::entry!(main);

async fn main(guest: Guest) {
    let clock = Clock::booted(ticks);
    let line = guest.command_line();
    let line = CommandLine::parse(&line);
    let value = |key| line.options().flatten().find(|(name, _)| *name == key);
    let value = |key| value(key).map_or("", |(_, value)| value);
    let number = |key| value(key).parse().unwrap_or_default();
    let end = match value("end") {
        "listens" => End::Listens,
        "linux" => End::ToLinux(value("path")),
        _ => End::Connects,
    };
    let plan = Plan { trips: number("trips"), mib: number("mib") };
    match between::run(&guest, &clock, end, plan).await {
        Ok(mut found) => {
            found.tell_boot(|line| println!("{line}"));
            found.tell_trips(|column| println!("{column}"));
            found.rows().tell(|line| println!("{line}"));
        }
        Err(error) => println!("error bench errno={} status=- {error}", error.errno()),
    }
    core::future::pending().await
}
