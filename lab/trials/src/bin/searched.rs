// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vault, with a command that searches all of its own memory for secrets.
//!
//! On its console, `look <needles>` reports where they are, and `seed <needles>` makes the next
//! `vault new` use the first of them as the seed; everything else goes to the vault.
//! [`trials::search`] says what needles are.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "all of memory is read by address")]

extern crate alloc;

use alloc::vec::Vec;
use core::cell::RefCell;

use drivers::memory::{Memory, Page};
use embassy_futures::join::join;
use grantkit::prelude::*;
use grantkit::{Xen, raw};
use trials::search::{LEN, Needles};
use vault::agent::Agent;
use vault::{prompt, service};
use vchan::{Server, Sizes};
use zeroize::Zeroizing;

grantkit::entry!(main);

async fn main(guest: Guest) {
    let services = guest.services();
    // SAFETY: pages are taken and returned at once; apart from that, memory is only read.
    let xen = unsafe { raw::xen() };
    link_all(&xen);
    let agent = RefCell::new(Agent::new().expect("there is memory"));
    let server = Server::new(services.clone(), DomId::DOM0, service::PATH, Sizes::default());
    let server = server.expect("there is memory for a path");
    let say = |error: &vchan::Error| println!("searched: a channel ended: {error}");
    println!("searched: serves domain 0 at {}", service::PATH);
    join(service::run(services, server, &agent, &say), typed(services, &xen, &agent)).await;
}

/// Links every frame, so that it can be read.
fn link_all(xen: &Xen) {
    let mut pages: Vec<Page> = Vec::new();
    while pages.try_reserve(1).is_ok()
        && let Some(page) = xen.alloc_page()
    {
        pages.push(page);
    }
    for page in pages {
        // SAFETY: it was just allocated, and nobody else has seen it.
        unsafe { xen.free_page(page) };
    }
}

async fn typed(services: &Services<Xen>, xen: &Xen, agent: &RefCell<Agent>) {
    let (mut line, mut seed) = (Vec::new(), None);
    loop {
        let mut byte = [0];
        services.console.input(&mut byte).await;
        if !matches!(byte, [b'\r' | b'\n']) {
            line.push(byte[0]);
            continue;
        }
        let text = str::from_utf8(&line).unwrap_or("?");
        match text.split_once(' ') {
            Some(("look", needles)) => look(xen, needles, agent),
            Some(("seed", needles)) => seed = Needles::parse(needles),
            _ => prompt::obey(text, agent, || draw(seed.take()), &|words| println!("{words}")),
        }
        line.clear();
    }
}

fn draw(seed: Option<Needles>) -> Option<Zeroizing<[u8; LEN]>> {
    let mut drawn = Zeroizing::new([0; LEN]);
    seed?.first(&mut drawn);
    Some(drawn)
}

fn look(xen: &Xen, needles: &str, agent: &RefCell<Agent>) {
    let keyring = agent.borrow().keyring();
    // SAFETY: the address lies in a mapped frame. Whatever is there is only compared, never
    // interpreted.
    let load = |address: usize| unsafe { xen.load_u32(address) };
    let mut found = |which: usize, address: usize| {
        let place = if keyring.contains(&address) { "keyring" } else { "elsewhere" };
        println!("found needle={which} place={place} at={address:#x}");
    };
    match Needles::parse(needles).and_then(|all| all.look(raw::frames(), &load, &mut found)) {
        Some(looked) => println!("ok look frames={} absent={}", looked.frames, looked.absent),
        None => println!("error look: no needles"),
    }
}
