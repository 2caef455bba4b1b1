// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands at the guest's console: `vault new [<comment>]` creates a key that has never been
//! anywhere else, `vault list` shows the public halves.

use core::cell::RefCell;
use core::fmt::Arguments;

use base64ct::{Base64, Encoding};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::agent::{Agent, Blob, COMMENT};
use crate::on_wiped_stack;

/// Maximum length of a line.
pub const LINE: usize = COMMENT + 16;

/// Executes one line, and prints lines in answer. `random` gets a seed from the processor; `None`
/// if it has no generator.
pub fn obey(
    line: &str,
    agent: &RefCell<Agent>,
    random: impl FnOnce() -> Option<Zeroizing<[u8; 32]>>,
    say: &dyn Fn(Arguments<'_>),
) {
    let (vault, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let (command, comment) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    let (comment, mut agent) = (comment.trim(), agent.borrow_mut());
    match (vault, command) {
        ("", _) => {}
        ("vault", "new") => {
            let added = on_wiped_stack(|| {
                let seed = random().ok_or("this processor has no RDRAND")?;
                agent.add(SigningKey::from_bytes(&seed), comment.as_bytes())
            });
            match added {
                Ok(blob) => public("ok vault new ", &blob, comment.as_bytes(), say),
                Err(words) => say(format_args!("error vault new: {words}")),
            }
        }
        ("vault", "list") if comment.is_empty() => {
            agent.list().for_each(|(blob, comment)| public("", &blob, comment, say));
            say(format_args!("ok vault list keys={}", agent.list().count()));
        }
        _ => say(format_args!("error vault: type `vault new [<comment>]` or `vault list`")),
    }
}

/// Prints a key in the format of `authorized_keys`, after some words.
fn public(words: &str, blob: &Blob, comment: &[u8], say: &dyn Fn(Arguments<'_>)) {
    let mut text = [0; 4 * size_of::<Blob>().div_ceil(3)];
    let text = Base64::encode(blob, &mut text).unwrap_or_default();
    let comment = core::str::from_utf8(comment).unwrap_or_default();
    say(format_args!("{words}ssh-ed25519 {text} {comment}"));
}
