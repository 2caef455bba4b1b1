// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connects the terminal to the guests' consoles.
//!
//! Keys go to one guest at a time, whose output is shown. Ctrl-O switches to the next guest, Ctrl-]
//! leaves. Input need not be a terminal: then each line waits for the answer to the one before it,
//! and end of input leaves.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::host::terminal::Terminal;
use crate::judge::reply::Reply;
use crate::lab::Lab;

/// Ctrl-], which leaves, as in `xl console`.
const LEAVE: u8 = 0x1d;
/// Ctrl-O, which switches guests.
const OTHER: u8 = 0x0f;
/// How long to wait for the next key.
const A_DAY: Duration = Duration::from_secs(24 * 3600);
/// How long to wait for the answer to a line from a script.
const ANSWERS: Duration = Duration::from_secs(60);

/// Connects this program's input and output to the first guest, until all guests have ended or the
/// user leaves. End of input counts as leaving unless `await_end` is set.
pub fn attach(lab: &mut Lab, guests: &[&str], await_end: bool) -> Result<()> {
    let _terminal = Terminal::raw();
    let person = std::io::stdin().is_terminal();
    let mut session = Session { guests, person, at: 0, shown: vec![0; guests.len()], lines: 0 };
    lab.listen_to_input();
    while !guests.iter().all(|guest| lab.ended(guest)) {
        session.show(lab);
        match lab.input() {
            Some(keys) if !session.keys(lab, &keys)? => break,
            Some(_) => {}
            None if lab.input_ended() && !await_end => break,
            None => drop(lab.step(Instant::now() + A_DAY)?),
        }
        if let Some(trouble) = lab.trouble() {
            print!("\r\n[{trouble}]\r\n");
        }
    }
    session.show(lab);
    print!("\r\n");
    Ok(())
}

struct Session<'a> {
    guests: &'a [&'a str],
    person: bool,
    at: usize,
    shown: Vec<usize>,
    lines: usize,
}

impl Session<'_> {
    /// Shows the guest's new output.
    fn show(&mut self, lab: &Lab) {
        let said = lab.said(self.guests[self.at]);
        let mut out = std::io::stdout();
        let _ = out.write_all(&said[self.shown[self.at]..]).and_then(|()| out.flush());
        self.shown[self.at] = said.len();
    }

    /// Passes keys to the guest; false if one of them leaves.
    fn keys(&mut self, lab: &mut Lab, keys: &[u8]) -> Result<bool> {
        for part in keys.split_inclusive(|key| [LEAVE, OTHER, b'\n'].contains(key)) {
            match part.strip_suffix(&[OTHER]).or(part.strip_suffix(&[LEAVE])) {
                None => self.hand_on(lab, part)?,
                Some(before) => {
                    self.hand_on(lab, before)?;
                    if part.ends_with(&[LEAVE]) {
                        return Ok(false);
                    }
                    self.change(lab);
                }
            }
        }
        Ok(true)
    }

    fn hand_on(&mut self, lab: &mut Lab, keys: &[u8]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        lab.type_on(self.guests[self.at], keys)?;
        if !self.person && keys.ends_with(b"\n") && !keys.trim_ascii().is_empty() {
            self.lines += 1;
            let guest = self.guests[self.at];
            let over = |lab: &Lab| (self.answered(lab) || lab.ended(guest)).then_some(());
            lab.until(ANSWERS, over).context("no answer")?;
            self.show(lab);
        }
        Ok(())
    }

    /// Switches to the next guest, and shows its last line again.
    fn change(&mut self, lab: &Lab) {
        self.at = (self.at + 1) % self.guests.len();
        let said = lab.said(self.guests[self.at]);
        let line = said.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.shown[self.at] = self.shown[self.at].min(line);
        print!("\r\n[{}]\r\n", self.guests[self.at]);
        self.show(lab);
    }

    /// Whether there are as many result lines as lines typed.
    fn answered(&self, lab: &Lab) -> bool {
        let results = |guest: &&str| {
            lab.lines(guest).iter().filter(|line| Reply::parse(line).is_some()).count()
        };
        self.guests.iter().map(results).sum::<usize>() >= self.lines
    }
}
