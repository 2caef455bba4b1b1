// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests that nobody would send: the inputs that the fuzzer kept, and mutations of them.

mod wild;

use std::path::Path;

/// The inputs kept for the fuzz target.
fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/agent");
    let files = std::fs::read_dir(folder).expect("the corpus is there");
    files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_request_gets_an_answer_of_the_protocol_without_the_private_key() {
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    let kept = corpus();
    assert!(kept.len() >= 4, "{} inputs", kept.len());
    kept.iter().for_each(|input| wild::requests(input));
    for _ in 0..100 {
        for input in &kept {
            let mut input = input.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() % input.len();
                input[at] = random() as u8;
            }
            wild::requests(&input);
        }
    }
}
