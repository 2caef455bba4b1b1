// SPDX-License-Identifier: MIT OR Apache-2.0
//! The agent: keys, and answers to requests (draft-ietf-sshm-ssh-agent).
//!
//! Unknown, malformed and refused requests get SSH_AGENT_FAILURE and change nothing. Keys stay in
//! place until they are removed: the list never grows or moves, since that would leave copies.

use alloc::vec::Vec;
use core::ops::Range;

use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha512};
use ssh_encoding::Decode;
use ssh_key::private::Ed25519Keypair;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Maximum length of a request in bytes, as in OpenSSH's agent.
pub const LONGEST: usize = 256 << 10;
/// Maximum number of keys.
pub const KEYS: usize = 64;
/// Maximum length of a key's comment in bytes.
pub const COMMENT: usize = 256;
/// The only supported type of key.
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

/// SSH_AGENT_FAILURE as a whole message, also sent when there is no request to answer.
pub const REFUSAL: [u8; 5] = [0, 0, 0, 1, FAILURE];

/// The public half of a key in the protocol's format: its type and 32 bytes, each with its length.
pub type Blob = [u8; 51];

/// Keys, and whether they may be used.
#[expect(missing_debug_implementations, reason = "keys are shown to nobody")]
pub struct Agent {
    /// One place for each possible key.
    keys: Vec<Option<Key>>,
    /// The hash of the passphrase that unlocks it.
    lock: Option<Zeroizing<[u8; 64]>>,
    wrong: u64,
}

/// Dropping it wipes the private half in place.
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
    /// An agent without keys. `None` if memory runs out.
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

    /// The addresses of the keys, which are nowhere else: for tests that search for copies.
    pub fn keyring(&self) -> Range<usize> {
        let Range { start, end } = self.keys.as_ptr_range();
        start.addr()..end.addr()
    }

    /// How long to delay an answer, in nanoseconds: 100 ms for each wrong passphrase, up to 10 s.
    pub fn penalty(&self) -> u64 {
        self.wrong.min(100) * 100_000_000
    }

    /// Adds a key, or changes the comment of one that is already there.
    ///
    /// # Errors
    /// The reason, as text; nothing has changed.
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

    /// The answer to a request, both without their length; empty if memory runs out.
    pub fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        if self.perform(request, &mut answer).is_none() {
            answer.clear();
            let _ = extend(&mut answer, &[FAILURE]); // if memory runs out, it stays empty
        }
        answer
    }

    /// `None` if refused.
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

    /// Empty while locked.
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

    /// The flags only matter for RSA keys.
    fn sign(&self, rest: &mut &[u8], answer: &mut Vec<u8>) -> Option<()> {
        let (blob, data, _flags) = (string(rest)?, string(rest)?, number(rest)?);
        end(rest)?;
        let key = self.keys.get(self.place(blob)?)?.as_ref()?;
        extend(answer, &[SIGN_RESPONSE])?;
        // The total length, then type and signature with theirs.
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
        // This also checks the public half.
        self.add(SigningKey::try_from(&pair).ok()?, comment).ok().map(drop)
    }
}

/// What is stored of a passphrase.
fn hash(passphrase: &[u8]) -> Zeroizing<[u8; 64]> {
    Zeroizing::new(Sha512::digest(passphrase).into())
}

/// Parses the next number of a request.
fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_be_bytes(*number))
}

/// Parses the next string of a request.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = number(rest)?;
    let (string, after) = rest.split_at_checked(len as usize)?;
    *rest = after;
    Some(string)
}

/// Checks that nothing follows.
fn end(rest: &[u8]) -> Option<()> {
    rest.is_empty().then_some(())
}

/// Appends bytes, if memory allows.
fn extend(all: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    all.try_reserve(bytes.len()).ok()?;
    all.extend_from_slice(bytes);
    Some(())
}
