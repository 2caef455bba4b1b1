// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arbitrary requests to the vault's agent.
#![no_main]

#[path = "../../services/vault/tests/wild/mod.rs"]
mod wild;

libfuzzer_sys::fuzz_target!(|input: &[u8]| wild::requests(input));
