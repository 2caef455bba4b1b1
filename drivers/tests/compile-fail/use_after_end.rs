//! Ending an export consumes it.

use drivers::gntalloc::Export;
use drivers::shared::Shared;
use fake_xen::FakeXen;

fn use_of_an_ended_export_does_not_compile(export: Export<FakeXen>) {
    let _ = export.end();
    let _ = export.read(0, &mut [0]);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
