// SPDX-License-Identifier: MIT OR Apache-2.0
//! Uses up grants, mappings and event channels several times (`rounds=10`), and checks that
//! everything else keeps working.
//!
//! For a domU with `max_grant_frames = 1`, `max_maptrack_frames = 1` and few event channels. It
//! starts at the first key, stays full until the second, and ends at the third, so that whoever
//! presses them can inspect the domain.
#![no_std]
#![no_main]

use grantkit::{Guest, println};
use tasks::cmdline::CommandLine;
use trials::exhaust;

grantkit::entry!(main);

async fn main(guest: Guest) {
    let console = &guest.services().console;
    let line = guest.command_line();
    let rounds = CommandLine::parse(&line).options().flatten().find(|(key, _)| *key == "rounds");
    let rounds = rounds.and_then(|(_, value)| value.parse().ok()).unwrap_or_default();
    println!("exhaust: ready");
    console.input(&mut [0]).await;
    let full = async {
        println!("exhaust: nothing is left");
        console.input(&mut [0]).await;
    };
    let heap = || guest.memory_usage().heap as u64;
    let said = exhaust::run(guest.services(), &heap, rounds, full).await;
    println!("{said}");
    console.input(&mut [0]).await;
}
