// SPDX-License-Identifier: MIT OR Apache-2.0
//! The agent: keys, and what each request is answered (draft-ietf-sshm-ssh-agent).
//!
//! What is unknown, malformed or refused is answered with SSH_AGENT_FAILURE and changes nothing.
//! Keys stay where they were put until they are removed: the list never grows or moves, since that
//! would leave copies.

use alloc::vec::Vec;
use core::ops::Range;

use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha512};
use ssh_encoding::Decode;
use ssh_key::private::Ed25519Keypair;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The longest request, in bytes, as OpenSSH's agent has it.
pub const LONGEST: usize = 256 << 10;
/// Keys at most.
pub const KEYS: usize = 64;
/// The longest comment of a key, in bytes.
pub const COMMENT: usize = 256;
/// The one kind of keys.
const KIND: &[u8] = b"ssh-ed25519";

const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const ADD_IDENTITY: u8 = 17;
const REMOVE_IDENTITY: u8 = 18;
const REMOVE_ALL_IDENTITIES: u8 = 19;
const LOCK: u8 = 22;
const UNLOCK: u8 = 23;

/// SSH_AGENT_FAILURE as a whole message: what is sent, too, where there is no request to judge.
pub const REFUSAL: [u8; 5] = [0, 0, 0, 1, FAILURE];

/// The public half of a key as the protocol has it: its kind and 32 bytes, each with its length.
pub type Blob = [u8; 51];

/// Keys, and whether they may be used.
#[expect(missing_debug_implementations, reason = "keys are shown to nobody")]
pub struct Agent {
    /// As many places as there may be keys.
    keys: Vec<Option<Key>>,
    /// The hash of the passphrase that unlocks it.
    lock: Option<Zeroizing<[u8; 64]>>,
    wrong: u64,
}

/// Dropping it wipes the private half where it is.
struct Key {
    private: SigningKey,
    comment: Vec<u8>,
}

impl Key {
    fn blob(&self) -> Blob {
        let mut blob = *b"\0\0\0\x0bssh-ed25519\0\0\0\x20                                ";
        blob[19..].copy_from_slice(self.private.verifying_key().as_bytes());
        blob
    }
}

impl Agent {
    /// One without keys. `None` if there is no memory.
    pub fn new() -> Option<Self> {
        let mut keys = Vec::new();
        keys.try_reserve_exact(KEYS).ok()?;
        keys.resize_with(KEYS, || None);
        Some(Self { keys, lock: None, wrong: 0 })
    }

    /// The public halves and comments of all keys.
    pub fn list(&self) -> impl Iterator<Item = (Blob, &[u8])> {
        self.keys.iter().flatten().map(|key| (key.blob(), key.comment.as_slice()))
    }

    /// At which addresses the keys are, and nowhere else: for who looks for copies.
    pub fn keyring(&self) -> Range<usize> {
        let Range { start, end } = self.keys.as_ptr_range();
        start.addr()..end.addr()
    }

    /// For how many nanoseconds an answer is to be held back: 100 ms for each passphrase that was
    /// wrong, up to 10 s.
    pub fn penalty(&self) -> u64 {
        self.wrong.min(100) * 100_000_000
    }

    /// Takes a key in, or gives the one that it has another comment.
    ///
    /// # Errors
    /// Why not, in words; nothing is changed.
    pub fn add(&mut self, private: SigningKey, comment: &[u8]) -> Result<Blob, &'static str> {
        let text = core::str::from_utf8(comment).unwrap_or("\0");
        if self.lock.is_some() {
            return Err("the vault is locked");
        } else if text.len() > COMMENT || text.chars().any(char::is_control) {
            return Err("the comment is no text of at most 256 bytes");
        }
        let mut copy = Vec::new();
        extend(&mut copy, comment).ok_or("there is no memory")?;
        let key = Key { private, comment: copy };
        let blob = key.blob();
        let place = self.place(&blob).or_else(|| self.keys.iter().position(Option::is_none));
        let place = place.and_then(|place| self.keys.get_mut(place)).ok_or("there are 64 keys")?;
        *place = Some(key);
        Ok(blob)
    }

    fn place(&self, blob: &[u8]) -> Option<usize> {
        let is_it = |key: &Option<Key>| key.as_ref().is_some_and(|key| key.blob() == blob);
        self.keys.iter().position(is_it)
    }

    /// The answer to a request, both without the length before them; empty if there is no memory
    /// for one.
    pub fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        if self.perform(request, &mut answer).is_none() {
            answer.clear();
            let _ = extend(&mut answer, &[FAILURE]); // without memory for a byte there is none
        }
        answer
    }

    /// `None` for what is refused.
    fn perform(&mut self, request: &[u8], answer: &mut Vec<u8>) -> Option<()> {
        let (kind, mut rest) = request.split_first()?;
        let rest = &mut rest;
        if self.lock.is_some() && !matches!(*kind, REQUEST_IDENTITIES | UNLOCK) {
            return None;
        }
        match *kind {
            REQUEST_IDENTITIES => {
                end(rest)?;
                return self.identities(answer);
            }
            SIGN_REQUEST => return self.sign(rest, answer),
            ADD_IDENTITY => self.add_identity(rest)?,
            REMOVE_IDENTITY => {
                let blob = string(rest)?;
                end(rest)?;
                let place = self.place(blob)?;
                *self.keys.get_mut(place)? = None;
            }
            REMOVE_ALL_IDENTITIES => {
                end(rest)?;
                self.keys.iter_mut().for_each(|key| *key = None);
            }
            LOCK => {
                let hash = hash(string(rest)?);
                end(rest)?;
                self.lock = Some(hash);
            }
            UNLOCK => {
                let hash = hash(string(rest)?);
                end(rest)?;
                let lock = self.lock.as_ref()?;
                if !bool::from(hash.ct_eq(&lock[..])) {
                    self.wrong += 1;
                    return None;
                }
                (self.lock, self.wrong) = (None, 0);
            }
            _ => return None,
        }
        extend(answer, &[SUCCESS])
    }

    /// None while it's locked.
    fn identities(&self, answer: &mut Vec<u8>) -> Option<()> {
        let shown = if self.lock.is_some() { 0 } else { self.list().count() };
        extend(answer, &[IDENTITIES_ANSWER])?;
        extend(answer, &(shown as u32).to_be_bytes())?;
        self.list().take(shown).try_for_each(|(blob, comment)| {
            [&blob[..], comment].iter().try_for_each(|string| {
                extend(answer, &(string.len() as u32).to_be_bytes())?;
                extend(answer, string)
            })
        })
    }

    /// The flags say how RSA keys are to sign.
    fn sign(&self, rest: &mut &[u8], answer: &mut Vec<u8>) -> Option<()> {
        let (blob, data, _flags) = (string(rest)?, string(rest)?, number(rest)?);
        end(rest)?;
        let key = self.keys.get(self.place(blob)?)?.as_ref()?;
        extend(answer, &[SIGN_RESPONSE])?;
        // The length of all, and kind and signature with theirs.
        extend(answer, b"\0\0\0\x53\0\0\0\x0bssh-ed25519\0\0\0\x40")?;
        extend(answer, &key.private.sign(data).to_bytes())
    }

    fn add_identity(&mut self, rest: &mut &[u8]) -> Option<()> {
        if string(rest)? != KIND {
            return None;
        }
        let pair = Ed25519Keypair::decode(rest).ok()?;
        let comment = string(rest)?;
        end(rest)?;
        // Its public half is checked, too.
        self.add(SigningKey::try_from(&pair).ok()?, comment).ok().map(drop)
    }
}

/// What is kept of a passphrase.
fn hash(passphrase: &[u8]) -> Zeroizing<[u8; 64]> {
    Zeroizing::new(Sha512::digest(passphrase).into())
}

/// The next number of a request.
fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_be_bytes(*number))
}

/// The next string of a request.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = number(rest)?;
    let (string, after) = rest.split_at_checked(len as usize)?;
    *rest = after;
    Some(string)
}

/// Nothing follows.
fn end(rest: &[u8]) -> Option<()> {
    rest.is_empty().then_some(())
}

/// Adds bytes, if there is memory.
fn extend(all: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    all.try_reserve(bytes.len()).ok()?;
    all.extend_from_slice(bytes);
    Some(())
}
