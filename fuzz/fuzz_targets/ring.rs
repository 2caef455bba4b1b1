// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arbitrary calls of a stream, whose page changes between any two of its accesses.
#![no_main]

#[path = "../../vchan/tests/common/mod.rs"]
mod common;
#[path = "../../vchan/tests/wild/mod.rs"]
mod wild;

libfuzzer_sys::fuzz_target!(|input: &[u8]| wild::ring(input));
