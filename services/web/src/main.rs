// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest. It serves the domain that `peer=<domid>` on its command line names, or dom0.
#![no_std]
#![no_main]

use grantkit::prelude::*;

grantkit::entry!(main);

async fn main(guest: Guest) {
    let line = guest.command_line();
    let peer = line.split_whitespace().find_map(|word| word.strip_prefix("peer="));
    match peer.map_or(Some(0), |domid| domid.parse().ok()).and_then(DomId::new) {
        Some(peer) => web::run(guest.services(), peer, &|words| println!("web: {words}")).await,
        None => println!("error web: {line:?} names no domain"),
    }
}
