// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls of the ioctl and libxen APIs made from arbitrary bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| model::wild::run(input));
