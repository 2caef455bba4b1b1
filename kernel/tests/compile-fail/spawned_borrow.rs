//! A spawned future outlives who spawned it, so it can't borrow from them.

use grantkit::Guest;

async fn start(guest: Guest) {
    let number = 1;
    let _ = guest.spawner().spawn(async { grantkit::println!("{}", &number) });
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
