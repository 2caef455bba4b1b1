// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hostile guest: obeys commands from its console, all of which are attacks.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "a hostile guest has the raw Xen")]

use grantkit::{Crash, Guest};
use trials::hostile;

grantkit::entry!(main);

async fn main(guest: Guest) {
    // SAFETY: it is used only for this guest's own grant entries. Those are rewritten with frames
    // that may be in use, which can only harm this guest, and this guest is disposable.
    let xen = unsafe { grantkit::raw::xen() };
    hostile::run(guest.services(), &xen, &|| grantkit::crash(Crash::Null)).await;
}
