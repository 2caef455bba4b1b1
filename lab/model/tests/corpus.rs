// SPDX-License-Identifier: MIT OR Apache-2.0
//! Replays the inputs that the fuzzers found interesting.

use std::path::Path;

/// Returns the corpus of a fuzz target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&directory).expect("the corpus is there");
    let inputs = entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    inputs.collect()
}

#[test]
#[cfg_attr(miri, ignore = "reads files, and takes long")]
fn the_corpus_of_the_ioctl_face_runs_through() {
    let inputs = corpus("ioctl");
    assert!(inputs.len() > 10);
    inputs.iter().for_each(|input| model::wild::run(input));
}

#[test]
#[cfg_attr(miri, ignore = "reads files, and takes long")]
fn the_corpus_of_the_model_runs_through() {
    let inputs = corpus("model");
    assert!(inputs.len() > 10);
    inputs.iter().for_each(|input| _ = model::fake::run(input.as_chunks().0));
}

#[test]
fn arbitrary_bytes_through_every_api_find_no_fault() {
    let mut state = 1u64;
    for _ in 0..if cfg!(miri) { 1 } else { 300 } {
        let input: Vec<u8> = (0..if cfg!(miri) { 200 } else { 600 })
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect();
        model::wild::run(&input);
    }
}
