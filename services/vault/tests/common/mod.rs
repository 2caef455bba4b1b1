// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests as OpenSSH sends them.
#![allow(dead_code, reason = "every test file uses another part of it")]

use ed25519_dalek::SigningKey;

pub const FAILURE: &[u8] = &[5];
pub const SUCCESS: &[u8] = &[6];
pub const LIST: &[u8] = &[11];
pub const REMOVE_ALL: &[u8] = &[19];

pub fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn blob(seed: u8) -> Vec<u8> {
    [string(b"ssh-ed25519"), string(key(seed).verifying_key().as_bytes())].concat()
}

/// SSH_AGENTC_ADD_IDENTITY, with halves that need not match.
pub fn add_pair(private: u8, public: u8, comment: &[u8]) -> Vec<u8> {
    let public = key(public).verifying_key().to_bytes();
    let pair = [[private; 32], public].concat();
    let parts = [string(b"ssh-ed25519"), string(&public), string(&pair), string(comment)];
    [&[17], parts.concat().as_slice()].concat()
}

pub fn add(seed: u8, comment: &[u8]) -> Vec<u8> {
    add_pair(seed, seed, comment)
}

pub fn remove(seed: u8) -> Vec<u8> {
    [&[18], string(&blob(seed)).as_slice()].concat()
}

pub fn sign(seed: u8, data: &[u8]) -> Vec<u8> {
    [&[13], string(&blob(seed)).as_slice(), &string(data), &[0; 4]].concat()
}

pub fn lock(passphrase: &[u8]) -> Vec<u8> {
    [&[22], string(passphrase).as_slice()].concat()
}

pub fn unlock(passphrase: &[u8]) -> Vec<u8> {
    [&[23], string(passphrase).as_slice()].concat()
}

/// The answer to a list of these keys.
pub fn listed(keys: &[(u8, &[u8])]) -> Vec<u8> {
    let mut answer = [&[12], u32::try_from(keys.len()).unwrap().to_be_bytes().as_slice()].concat();
    for (seed, comment) in keys {
        answer.extend([string(&blob(*seed)), string(comment)].concat());
    }
    answer
}
