// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints numbered lines (`lines=16384`) as fast as the console takes them, and then sleeps for
//! ever. It never reads input.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;

use grantkit::Guest;
use tasks::cmdline::CommandLine;

grantkit::entry!(main);

async fn main(guest: Guest) {
    let line = guest.command_line();
    let lines = CommandLine::parse(&line).options().flatten().find(|(key, _)| *key == "lines");
    let lines: u32 = lines.and_then(|(_, value)| value.parse().ok()).unwrap_or_default();
    for number in 0..lines {
        // 64 bytes including the line end. lab/dom0/src/bin/listen.rs expects exactly these.
        let mut line = format!("{number:010} ");
        line.extend([char::from(b'a' + (number % 26) as u8); 52]);
        line.push('\n');
        guest.services().console.print(line.as_bytes()).await;
    }
    core::future::pending().await
}
