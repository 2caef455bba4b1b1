// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers to requests of the agent protocol.

mod common;

use common::{
    FAILURE, LIST, REMOVE_ALL, SUCCESS, add, add_pair, key, listed, lock, remove, sign, string,
    unlock,
};
use ed25519_dalek::{Signature, Verifier};
use vault::agent::{Agent, KEYS};

fn agent() -> Agent {
    Agent::new().unwrap()
}

/// An agent with key 1.
fn with_one() -> Agent {
    let mut agent = agent();
    assert_eq!(agent.answer(&add(1, b"one")), SUCCESS);
    agent
}

#[test]
fn keys_are_added_listed_and_removed_one_by_one_or_all() {
    let mut agent = agent();
    assert_eq!(agent.answer(LIST), listed(&[]));
    for seed in 1..=3 {
        assert_eq!(agent.answer(&add(seed, b"a key")), SUCCESS);
    }
    assert_eq!(agent.answer(LIST), listed(&[(1, b"a key"), (2, b"a key"), (3, b"a key")]));
    assert_eq!(agent.answer(&remove(2)), SUCCESS);
    assert_eq!(agent.answer(&remove(2)), FAILURE);
    assert_eq!(agent.answer(LIST), listed(&[(1, b"a key"), (3, b"a key")]));
    assert_eq!(agent.answer(REMOVE_ALL), SUCCESS);
    assert_eq!(agent.answer(LIST), listed(&[]));
    assert_eq!(agent.answer(&sign(1, b"x")), FAILURE);
}

#[test]
fn a_signature_is_the_keys_own_over_the_data_that_was_given() {
    let mut agent = with_one();
    for data in [&b""[..], b"data", &[7; 70_000]] {
        let answer = agent.answer(&sign(1, data));
        let head = [&[14, 0, 0, 0, 83][..], &string(b"ssh-ed25519"), &[0, 0, 0, 64]].concat();
        let signature = answer.strip_prefix(head.as_slice()).unwrap();
        let signature = Signature::from_slice(signature).unwrap();
        key(1).verifying_key().verify(data, &signature).unwrap();
    }
    assert_eq!(agent.answer(&sign(2, b"data")), FAILURE);
}

#[test]
fn a_key_that_is_there_gets_the_new_comment() {
    let mut agent = with_one();
    assert_eq!(agent.answer(&add(1, "zwölf".as_bytes())), SUCCESS);
    assert_eq!(agent.answer(LIST), listed(&[(1, "zwölf".as_bytes())]));
}

#[test]
fn a_locked_agent_shows_and_does_nothing_until_the_passphrase_comes() {
    let mut agent = with_one();
    assert_eq!(agent.answer(&unlock(b"")), FAILURE);
    assert_eq!(agent.answer(&lock(b"secret")), SUCCESS);
    assert_eq!(agent.answer(LIST), listed(&[]));
    for refused in [add(2, b""), remove(1), sign(1, b"x"), lock(b"x"), vec![19], unlock(b"wrong")] {
        assert_eq!(agent.answer(&refused), FAILURE);
    }
    assert_eq!(agent.answer(&unlock(b"secret")), SUCCESS);
    assert_eq!(agent.answer(LIST), listed(&[(1, b"one")]));
}

#[test]
fn each_wrong_passphrase_makes_the_wait_longer_up_to_ten_seconds() {
    let mut agent = with_one();
    agent.answer(&lock(b"secret"));
    assert_eq!(agent.penalty(), 0);
    for wrong in 1..200_u64 {
        agent.answer(&unlock(b"wrong"));
        assert_eq!(agent.penalty(), wrong.min(100) * 100_000_000);
    }
    agent.answer(&unlock(b"secret"));
    assert_eq!(agent.penalty(), 0);
}

#[test]
fn a_key_more_than_there_is_place_for_is_refused_and_the_others_stay() {
    let mut agent = agent();
    for seed in 0..KEYS {
        assert_eq!(agent.answer(&add(seed as u8, b"")), SUCCESS);
    }
    assert_eq!(agent.answer(&add(200, b"")), FAILURE);
    assert_eq!(agent.answer(&add(5, b"again")), SUCCESS);
    assert_eq!(agent.answer(&remove(9)), SUCCESS);
    assert_eq!(agent.answer(&add(200, b"")), SUCCESS);
    assert_eq!(agent.list().count(), KEYS);
}

#[test]
fn a_pair_whose_halves_do_not_belong_together_is_refused() {
    let mut agent = agent();
    assert_eq!(agent.answer(&add_pair(1, 2, b"")), FAILURE);
    assert_eq!(agent.answer(LIST), listed(&[]));
}

#[test]
fn a_comment_that_is_no_text_or_too_long_is_refused() {
    let mut agent = agent();
    for comment in [&[b'x'; 257][..], &[0xff, 0xfe], b"\x1b[2J", b"two\nlines"] {
        assert_eq!(agent.answer(&add(1, comment)), FAILURE);
    }
    assert_eq!(agent.answer(&add(1, &[b'x'; 256])), SUCCESS);
}

#[test]
fn whatever_is_cut_off_or_has_something_behind_it_is_refused_and_changes_nothing() {
    let mut agent = with_one();
    let whole = [add(2, b"two"), sign(1, b"data"), remove(1), lock(b"x"), unlock(b"x")];
    for request in &whole {
        for len in 0..request.len() {
            assert_eq!(agent.answer(&request[..len]), FAILURE, "{len} of {request:?}");
        }
        assert_eq!(agent.answer(&[request, &[0][..]].concat()), FAILURE, "{request:?}");
    }
    for request in [&[19, 0][..], &[11, 0]] {
        assert_eq!(agent.answer(request), FAILURE, "{request:?}");
    }
    assert_eq!(agent.answer(LIST), listed(&[(1, b"one")]));
}

#[test]
fn what_is_unknown_is_refused_and_so_are_constraints_and_extensions() {
    let mut agent = with_one();
    let known = [11, 13, 17, 18, 19, 22, 23];
    for kind in (0..=255).filter(|kind| !known.contains(kind)) {
        assert_eq!(agent.answer(&[kind]), FAILURE, "{kind}");
        assert_eq!(agent.answer(&[&[kind], &add(2, b"")[1..]].concat()), FAILURE, "{kind}");
    }
    assert_eq!(agent.answer(LIST), listed(&[(1, b"one")]));
}

#[test]
fn lengths_that_reach_beyond_the_request_are_refused() {
    let mut agent = with_one();
    for request in [add(2, b"two"), sign(1, b"data"), remove(1)] {
        for at in 1..request.len() - 3 {
            for wrong in [0xffff_ffff_u32, 0x8000_0000, request.len() as u32] {
                let mut request = request.clone();
                request[at..at + 4].copy_from_slice(&wrong.to_be_bytes());
                // If it isn't a length, the request has another key, comment or text to sign.
                let answer = agent.answer(&request);
                assert!(matches!(answer[0], 5 | 6 | 14), "{answer:?}");
            }
        }
    }
}

#[test]
fn no_answer_has_a_private_half_in_it() {
    let mut agent = with_one();
    for kind in 0..=255 {
        for rest in [&[][..], &add(1, b"")[1..], &sign(1, b"x")[1..], &remove(3)[1..]] {
            let answer = agent.answer(&[&[kind], rest].concat());
            assert!(!answer.windows(32).any(|window| window == [1; 32]), "{kind}");
            if agent.list().count() == 0 {
                agent = with_one();
            }
        }
    }
}
