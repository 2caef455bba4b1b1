// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arbitrary requests to the agent, for the fuzz target and for the test that replays its corpus.

use vault::agent::{Agent, KEYS};

/// The seed of a key that the agent holds; the corpus also has its public half.
const SEED: [u8; 32] = [7; 32];

/// Sends the requests in `input`, each with a two-byte length before it.
///
/// # Panics
/// If an answer isn't a message of the protocol or contains the private key, or if a refused
/// request changes the keys.
pub fn requests(input: &[u8]) {
    let mut agent = Agent::new().expect("memory");
    let key = ed25519_dalek::SigningKey::from_bytes(&SEED);
    agent.add(key, b"fuzzed").expect("an agent without keys takes one");
    let mut rest = input;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (request, after) = after.split_at(length);
        rest = after;
        let before: Vec<_> = agent.list().map(|(blob, _)| blob).collect();
        let answer = agent.answer(request);
        let words: &[u8] = &answer;
        match words {
            // A refused request doesn't change the keys.
            [5] => assert!(agent.list().map(|(blob, _)| blob).eq(before)),
            [6] => {}
            [12, count @ ..] if count.len() >= 4 => {}
            [14, signature @ ..] => assert_eq!(signature.len(), 4 + 83),
            other => panic!("{request:?} is answered {other:?}"),
        }
        assert!(!answer.windows(SEED.len()).any(|window| window == SEED));
        assert!(agent.list().count() <= KEYS);
    }
}
