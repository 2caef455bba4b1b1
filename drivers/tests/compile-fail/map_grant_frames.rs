//! The grant table's frames must be those that Xen returned.

use drivers::memory::Memory;
use fake_xen::FakeXen;

fn mapping_grant_frames_without_unsafe_does_not_compile(xen: FakeXen) {
    let _ = xen.map_grant_frames(0, &[7]);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
