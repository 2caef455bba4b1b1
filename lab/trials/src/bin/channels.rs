// SPDX-License-Identifier: MIT OR Apache-2.0
//! One of two guests that find each other by name and open channels between them:
//! `end=listens|connects messages=<n> bytes=<n> long=<n> each=<n>`.
//!
//! It stays when it has finished, so that its peer never finds it gone.
#![no_std]
#![no_main]

use grantkit::{Guest, println};
use tasks::cmdline::CommandLine;
use trials::channels::{self, End, Plan};

grantkit::entry!(main);

async fn main(guest: Guest) {
    let line = guest.command_line();
    let line = CommandLine::parse(&line);
    let value = |key| line.options().flatten().find(|(name, _)| *name == key);
    let number = |key| value(key).and_then(|(_, value)| value.parse().ok()).unwrap_or_default();
    let end = match value("end") {
        Some((_, "listens")) => End::Listens,
        _ => End::Connects,
    };
    let plan = Plan {
        messages: number("messages"),
        bytes: number("bytes"),
        long: number("long"),
        each: number("each"),
    };
    let heap = || guest.memory_usage().heap;
    let say = |line: &str| println!("{line}");
    channels::run(&guest, &heap, (end, plan), &say).await;
    core::future::pending().await
}
