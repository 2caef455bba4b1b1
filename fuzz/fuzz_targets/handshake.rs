// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any page and nodes for a client, which change between any two accesses of its.
#![no_main]

#[path = "../../vchan/tests/common/mod.rs"]
mod common;
#[path = "../../vchan/tests/wild/mod.rs"]
mod wild;

libfuzzer_sys::fuzz_target!(|input: &[u8]| wild::handshake(input));
