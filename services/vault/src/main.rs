// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest: keys in its own 8 MiB, and a channel to the domain that uses them.
//!
//! The command line may name that domain: `peer=<domid>`. The default is dom0.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::cell::RefCell;

use embassy_futures::join::join;
use grantkit::prelude::*;
use sha2::{Digest, Sha512};
use vault::agent::Agent;
use vault::{prompt, service};
use vchan::{Server, Sizes};
use x86_64::instructions::random::RdRand;
use zeroize::{Zeroize, Zeroizing};

grantkit::entry!(main);

async fn main(guest: Guest) {
    let line = guest.command_line();
    let peer = line.split_whitespace().find_map(|word| word.strip_prefix("peer="));
    let peer = peer.map_or(Some(0), |domid| domid.parse().ok()).and_then(DomId::new);
    let (Some(peer), Some(agent)) = (peer, Agent::new()) else {
        return println!("error vault: peer={line:?} is no domain, or there is no memory");
    };
    let (agent, services) = (RefCell::new(agent), guest.services());
    let server = Server::new(services.clone(), peer, service::PATH, Sizes::default());
    let server = server.expect("there is memory for a path");
    println!("vault: serves domain {} at {}", peer.get(), service::PATH);
    let say = |error: &vchan::Error| println!("vault: a channel ended: {error}");
    join(service::run(services, server, &agent, &say), typed(services, &agent)).await;
}

/// Handles the console.
async fn typed<X: Platform>(guest: &Services<X>, agent: &RefCell<Agent>) {
    let (mut line, mut len) = ([0; prompt::LINE], 0);
    loop {
        let mut byte = [0];
        guest.console.input(&mut byte).await;
        match (byte, line.get_mut(len)) {
            ([b'\r' | b'\n'], _) => {
                let text = line.get(..len).and_then(|line| str::from_utf8(line).ok());
                prompt::obey(text.unwrap_or("?"), agent, random, &|words| println!("{words}"));
                len = 0;
            }
            ([byte], Some(place)) => {
                *place = byte;
                len += 1;
            }
            // A line that is too long is invalid.
            (_, None) => line[0] = b'?',
        }
    }
}

/// A seed from the processor's generator: the hash of twice as many random bits.
fn random() -> Option<Zeroizing<[u8; 32]>> {
    let generator = RdRand::new()?;
    let mut hash = Sha512::new();
    for _ in 0..8 {
        // It may fail now and then, but not ten times in a row.
        let mut drawn = (0..10).find_map(|_| generator.get_u64())?;
        hash.update(drawn.to_le_bytes());
        drawn.zeroize();
    }
    let hash: Zeroizing<[u8; 64]> = Zeroizing::new(hash.finalize().into());
    hash.first_chunk().map(|seed| Zeroizing::new(*seed))
}
