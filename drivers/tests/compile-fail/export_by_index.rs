//! A typed device has no indices: a page of an export is freed with the export.

use drivers::gntalloc::Device;
use drivers::{Index, Pages};
use fake_xen::FakeXen;

fn letting_go_of_a_page_of_an_export_by_its_index_does_not_compile(device: Device<FakeXen>) {
    let _ = device.dealloc_gref(Index::of_page(1), Pages(1));
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
