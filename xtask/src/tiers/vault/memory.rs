// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks a vault that searches all of its own memory: a key must be only in the keyring while it
//! is held, and nowhere once it is removed. OpenSSH makes the requests.
//!
//! The guest is lab/trials/src/bin/searched.rs: the vault's code with a search command.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ssh_key::PrivateKey;

use super::needles::{self, FORMS};
use super::{fails, logged_in, says, sh};
use crate::host::random::{self, Draw};
use crate::lab::{Lab, Mode};

/// The guest's name.
pub const SEARCHED: &str = "searched";
/// The number of frames in 8 MiB.
const FRAMES: usize = 2048;
/// How long a search may take: two million addresses take a second or two under emulation.
const LOOK: Duration = Duration::from_secs(60);

/// What a search finds if the key is in the keyring, once.
const HELD: [&str; 1] = ["the seed in the keyring"];

/// The seed to search for: that of the key that `ssh-keygen` wrote to /tmp/key.
fn added_seed(lab: &mut Lab) -> Result<[u8; 32]> {
    let text = sh(lab, "while read -r line; do echo \"$line\"; done < /tmp/key")?;
    let key = PrivateKey::from_openssh(text).ok().context("/tmp/key is no key")?;
    Ok(key.key_data().ed25519().context("another kind of key")?.private.to_bytes())
}

/// The number of guard pages around stacks; a PVH guest also has a stack for exceptions.
fn guards(mode: Mode) -> usize {
    match mode {
        Mode::Pv => 2,
        Mode::Pvh => 3,
    }
}

/// Has the guest search for a seed, and returns the forms found and their places.
fn look(lab: &mut Lab, seed: &[u8; 32]) -> Result<Vec<String>> {
    let factor = draw()?.below(u64::MAX) | 1;
    let mark =
        lab.command(SEARCHED, &format!("look {}", needles::said(factor, &needles::forms(seed))))?;
    let answer = lab.answer(SEARCHED, mark, LOOK)?;
    let guards = guards(lab.mode());
    let frames = format!("ok look frames={} absent={guards}", FRAMES - guards);
    ensure!(answer == frames, "not all of its memory was looked at: `{answer}`");
    found(&lab.lines_from(SEARCHED, mark))
}

/// Parses what was found from the guest's lines.
fn found(lines: &[String]) -> Result<Vec<String>> {
    let shown = |line: &String| {
        let mut words = line.strip_prefix("found needle=")?.split(' ');
        let form = FORMS.get(words.next()?.parse::<usize>().ok()?)?;
        let (place, at) = (words.next()?, words.next()?.strip_prefix("at=")?);
        match place {
            "place=keyring" => Some(format!("{form} in the keyring")),
            _ => Some(format!("{form} at {at}")),
        }
    };
    let lines = lines.iter().filter(|line| line.starts_with("found "));
    lines.map(|line| shown(line).with_context(|| format!("`{line}`"))).collect()
}

fn draw() -> Result<Draw> {
    Ok(Draw::new(random::seed()?))
}

fn finds(lab: &mut Lab, seed: &[u8; 32], expected: &[&str]) -> Result<()> {
    let found = look(lab, seed)?;
    ensure!(found == expected, "found were {found:?}, and not {expected:?}");
    Ok(())
}

/// Searches for OpenSSH's key while it is held, after it is used and added again, and once it is
/// removed.
pub fn of_an_added_key(lab: &mut Lab) -> Result<String> {
    let new = "rm -f /tmp/key; ssh-keygen -q -t ed25519 -N '' -C me@dom0 -f /tmp/key; \
               cp /tmp/key.pub /tmp/authorized";
    sh(lab, new)?;
    let seed = &added_seed(lab)?;
    finds(lab, seed, &[]).context("before")?;
    sh(lab, "ssh-add /tmp/key")?;
    finds(lab, seed, &HELD).context("added")?;
    logged_in(lab)?;
    finds(lab, seed, &HELD).context("used")?;
    sh(lab, "ssh-add /tmp/key; ssh-add -l")?;
    finds(lab, seed, &HELD).context("added once more")?;
    says(sh(lab, "ssh-add -d /tmp/key.pub")?, "Identity removed")?;
    finds(lab, seed, &[]).context("removed")?;
    Ok(format!("the seed once while it was held; of {} forms none afterwards", FORMS.len()))
}

/// Searches for a key that the vault refused.
pub fn of_a_refused_key(lab: &mut Lab) -> Result<String> {
    let seed = &added_seed(lab)?;
    let said = fails(lab, "ssh-add -t 100 /tmp/key")?;
    finds(lab, seed, &[])?;
    Ok(said)
}

/// Searches for a key that `vault new` makes, as for an added one.
pub fn of_a_made_key(lab: &mut Lab) -> Result<String> {
    let mut draw = draw()?;
    let seed = &std::array::from_fn(|_| draw.below(256) as u8);
    let mark = lab.command(SEARCHED, &format!("seed {}", needles::said(5, &[*seed])))?;
    lab.type_on(SEARCHED, b"vault new made\r")?;
    let said = lab.says(SEARCHED, mark, "ok vault new ")?;
    let key = said.strip_prefix("ok vault new ").context("no key")?;
    finds(lab, seed, &HELD).context("made")?;
    sh(lab, &format!("echo '{key}' > /tmp/authorized"))?;
    logged_in(lab)?;
    finds(lab, seed, &HELD).context("used")?;
    sh(lab, "ssh-add -D")?;
    finds(lab, seed, &[]).context("removed")?;
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_told_with_its_place() {
        let lines = [
            "found needle=0 place=keyring at=0xffffffff80100000",
            "found needle=5 place=elsewhere at=0xffffffff80200000",
            "ok look frames=2046 absent=2",
        ];
        let found = found(&lines.map(str::to_owned)).unwrap();
        assert_eq!(found, ["the seed in the keyring", "the scalar at 0xffffffff80200000"]);
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        for line in ["found needle=8 place=keyring at=0x1", "found nothing", "found needle=0"] {
            assert!(found(&[line.to_owned()]).is_err(), "{line}");
        }
    }
}
