//! An implementor of the memory seam promises what `raw` relies on.

use drivers::memory::Memory;

struct Mine;

impl Memory for Mine {}

fn implementing_memory_without_unsafe_does_not_compile(_: Mine) {}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
