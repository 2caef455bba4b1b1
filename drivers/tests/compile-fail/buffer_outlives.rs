//! A segment borrows its local memory.

use drivers::buffer::Buffer;
use drivers::gntdev::{CopyEnd, Segment};
use fake_xen::FakeXen;

fn a_segment_that_outlives_its_buffer_does_not_compile(
    source: CopyEnd<'static, FakeXen>,
    buffer: Buffer<FakeXen>,
) {
    let segment = Segment::new(source, CopyEnd::Buffer(&buffer, 0), 1);
    drop(buffer);
    drop(segment.status);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
