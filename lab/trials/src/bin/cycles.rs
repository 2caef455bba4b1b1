// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shares pages with itself many times (`seed=1 cycles=1000`), and then shares three pages for
//! good.
//!
//! It starts at the first key, and shares the three pages at the second, so that whoever presses
//! them can inspect the domain before and after the cycles, and at the end, when there must be
//! something to see.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use grantkit::gntalloc::Export;
use grantkit::gntdev::{Mapping, ReadWrite};
use grantkit::{Access, Error, Guest, Pages, Services, Xen, println};
use tasks::cmdline::CommandLine;
use trials::cycles;

grantkit::entry!(main);

async fn main(guest: Guest) {
    let services = guest.services();
    let line = guest.command_line();
    let line = CommandLine::parse(&line);
    let number = |key| {
        let value = line.options().flatten().find(|(name, _)| *name == key);
        value.and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
    };
    let plan = (number("seed"), number("cycles") as u32);
    let key = async {
        println!("cycles: ready");
        services.console.input(&mut [0]).await;
    };
    let said = cycles::run(services, &|| guest.memory_usage().heap as u64, plan, key).await;
    println!("{said}");
    services.console.input(&mut [0]).await;
    match hold(services) {
        Ok(_held) => {
            println!("cycles: 3 pages are mapped");
            core::future::pending().await
        }
        Err(error) => println!("cycles: {error}"),
    }
}

/// Shares three pages with this domain itself, and maps them.
fn hold(services: &Services<Xen>) -> Result<(Export<Xen>, Mapping<Xen, ReadWrite>), Error> {
    let domid = services.domid;
    let export = services.gntalloc.open().alloc(domid, Pages(3), Access::ReadWrite)?;
    let grants: Vec<_> = export.grefs().map(|gref| domid.grant(gref)).collect();
    let mapping = services.gntdev.open()?.reserve(&grants)?.map()?;
    Ok((export, mapping))
}
