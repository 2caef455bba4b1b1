// SPDX-License-Identifier: MIT OR Apache-2.0
//! Peers that do anything at any moment: random inputs, and those that the fuzzers kept.

mod common;
mod wild;

use std::path::Path;

/// Pseudo-random inputs, and those kept for a fuzz target.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    let rounds = if cfg!(miri) { 2 } else { 300 };
    let mut all: Vec<Vec<u8>> = (0..rounds)
        .map(|round| {
            let first = [64, 0].into_iter();
            first.chain((0..100 + round).map(|_| random())).collect()
        })
        .collect();
    if !cfg!(miri) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let files = std::fs::read_dir(&corpus).expect("the corpus is there");
        all.extend(files.map(|file| std::fs::read(file.unwrap().path()).unwrap()));
    }
    all
}

#[test]
fn a_page_with_anything_in_it_that_changes_meanwhile_leaves_nothing_behind() {
    inputs("handshake").iter().for_each(|input| wild::handshake(input));
}

#[test]
fn a_stream_survives_whatever_its_peer_writes_between_any_two_looks() {
    inputs("ring").iter().for_each(|input| wild::ring(input));
}
