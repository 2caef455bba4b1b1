// SPDX-License-Identifier: MIT OR Apache-2.0
//! Publishes a node for the domain with the next domid after its own, which need not exist yet, and
//! sleeps for ever.
#![no_std]
#![no_main]

use drivers::xenstore::Reader;
use grantkit::{DomId, Guest, println};

grantkit::entry!(main);

async fn main(guest: Guest) {
    let services = guest.services();
    let next = DomId::new(services.domid.get() + 1);
    let (Some(store), Some(next)) = (&services.xenstore, next) else {
        println!("early: no xenstore, or no domid is left");
        return;
    };
    match store.publish("data/grantkit/early", b"hello", Reader::Domain(next)).await {
        Ok(_published) => {
            println!("early: published for {next}");
            core::future::pending().await
        }
        Err(error) => println!("early: {error}"),
    }
}
