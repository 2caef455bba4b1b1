//! A grant entry is an order to Xen.

use drivers::memory::Memory;
use fake_xen::FakeXen;

fn reaching_the_grant_entries_without_unsafe_does_not_compile(xen: FakeXen) {
    let _ = xen.grant_entries();
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
