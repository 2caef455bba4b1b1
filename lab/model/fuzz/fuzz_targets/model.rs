// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any sequence of operations, compared with the reference model.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let ops: Vec<model::Op> = input.as_chunks().0.to_vec();
    model::fake::run(&ops);
});
