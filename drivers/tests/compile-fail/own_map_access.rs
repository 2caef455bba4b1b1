//! A mapping's access is one of two given types.

use drivers::Access;
use drivers::gntdev::MapAccess;

#[derive(Debug)]
enum Mine {}

impl MapAccess for Mine {
    const ACCESS: Access = Access::ReadWrite;
}

fn an_access_of_ones_own_does_not_compile(_: Mine) {}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
