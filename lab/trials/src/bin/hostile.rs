// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hostile guest: does what it is told at its console, and nothing that an honest one would do.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a hostile guest has the raw Xen")]

use grantkit::{Crash, Guest};
use trials::hostile;

grantkit::entry!(main);

async fn main(guest: Guest) {
    // SAFETY: it is used for grant entries of this guest's own alone. Those are rewritten with
    // frames that may be in use, which harms this guest: it is run to be thrown away.
    let xen = unsafe { grantkit::raw::xen() };
    hostile::run(guest.services(), &xen, &|| grantkit::crash(Crash::Null)).await;
}
