// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes through the ioctl and the libraries' faces.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| model::wild::run(input));
