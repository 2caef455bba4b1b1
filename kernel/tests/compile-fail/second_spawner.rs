//! A `Spawner` comes with the `Guest`.
#![allow(unreachable_code)]

fn main() {
    let _ = grantkit::Spawner(loop {});
}
// SPDX-License-Identifier: MIT OR Apache-2.0
