//! A segment borrows the export that it copies to.

use drivers::gntalloc::Export;
use drivers::gntdev::{CopyEnd, Segment};
use fake_xen::FakeXen;

fn a_segment_that_outlives_its_export_does_not_compile(
    source: CopyEnd<'static, FakeXen>,
    export: Export<FakeXen>,
) {
    let segment = Segment::new(source, CopyEnd::Export(&export, 0), 1);
    let _ = export.end();
    drop(segment.status);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
