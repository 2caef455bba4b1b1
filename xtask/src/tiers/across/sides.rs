// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two sides: our guest at its prompt, and dom0's program that uses Linux's devices.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::grammar;
use crate::guests::life::GUEST;
use crate::judge::counts::Counts;
use crate::judge::reply::{Reply, number, same_bytes, value};
use crate::lab::{Lab, PATIENCE};

/// A check with a shared guest, which must be as before at the end: its name, and what it does.
pub type Check = (&'static str, fn(&mut Sides<'_>) -> Result<()>);
/// A check with guests of its own: its name, and what it does.
pub type Last = (&'static str, fn(&mut Lab) -> Result<()>);

/// The length of the longest line. A command padded to it with blanks also fills the shell's whole
/// history, so that the heap can be compared.
pub const LINE: usize = 8192;

/// A side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Our guest.
    Guest,
    /// Linux's program.
    Linux,
}

/// Pages that one side shares and the other maps, by each one's id for them.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    pub granter: Side,
    pub share: u64,
    pub map: u64,
}

/// How Linux's program lets go of pages.
#[derive(Clone, Copy, Debug)]
pub enum Leave {
    /// It runs this command.
    By(&'static str),
    /// It ends with everything open, mapped and shared.
    Ends,
    /// It is killed.
    Killed,
}

/// An event channel: the port of each side.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    pub guest: u64,
    pub linux: u64,
}

/// A guest and a program in dom0.
pub struct Sides<'a> {
    pub lab: &'a mut Lab,
    /// The guest's domid.
    pub domid: u32,
    program: u32,
    /// How many commands the program has been given.
    asked: usize,
}

impl Sides<'_> {
    /// Pairs the existing guest with a new program.
    pub fn meet(lab: &mut Lab) -> Result<Sides<'_>> {
        let domid = lab.domid(GUEST)?.context("there is no guest")?;
        let program = lab.start_with_libraries("./peer")?;
        Ok(Sides { lab, domid, program, asked: 0 })
    }

    /// Gives one side a command, and returns its `ok` line.
    pub fn ask(&mut self, side: Side, command: &str) -> Result<String> {
        let line = self.answer(side, command)?;
        ensure!(line.starts_with("ok "), "{side:?} answered `{command}` with: {line}");
        Ok(line)
    }

    /// Gives one side a command that it must refuse, and returns its `error` line.
    pub fn refused(&mut self, side: Side, command: &str, errno: &str) -> Result<String> {
        let line = self.answer(side, command)?;
        let refused = line.starts_with("error ") && value(&line, "errno")? == errno;
        ensure!(refused, "{side:?} answered `{command}` with: {line}");
        Ok(line)
    }

    fn answer(&mut self, side: Side, command: &str) -> Result<String> {
        let line = match side {
            Side::Guest => self.lab.answered(GUEST, command),
            Side::Linux => {
                self.lab.feed(self.program, format!("{command}\n").as_bytes())?;
                self.asked += 1;
                let (program, asked) = (self.program, self.asked);
                let answer = |lab: &Lab| {
                    let lines = lab.written(program);
                    lines.into_iter().filter(|line| Reply::parse(line).is_some()).nth(asked - 1)
                };
                self.lab.until(PATIENCE, answer)
            }
        };
        let line = line.with_context(|| format!("{side:?} did not answer `{command}`"))?;
        grammar::check(&line)?;
        Ok(line)
    }

    /// Waits for the guest's answers to `count` commands typed since `mark`.
    pub fn answers(&mut self, mark: usize, count: usize) -> Result<Vec<String>> {
        let answers = |lab: &Lab| {
            let lines = lab.lines_from(GUEST, mark).into_iter();
            let answers = lines.filter(|line| Reply::parse(line).is_some());
            let answers: Vec<String> = answers.take(count).collect();
            (answers.len() == count).then_some(answers)
        };
        let answers = self.lab.until(PATIENCE, answers);
        let answers = answers.with_context(|| format!("the guest did not answer {count} times"))?;
        answers.iter().try_for_each(|line| grammar::check(line))?;
        Ok(answers)
    }

    /// Has one side share pages and the other map them; `share` and `map` are appended to the
    /// commands.
    pub fn pages(&mut self, granter: Side, pages: u32, share: &str, map: &str) -> Result<Pages> {
        let (mapper, to, from) = match granter {
            Side::Guest => (Side::Linux, 0, self.domid),
            Side::Linux => (Side::Guest, self.domid, 0),
        };
        let shared = self.ask(granter, &format!("share {to} {pages}{share}"))?;
        let refs = value(&shared, "refs")?;
        ensure!(refs.split(',').count() == pages as usize, "not {pages} references: {shared}");
        let mapped = self.ask(mapper, &format!("map {from} {refs}{map}"))?;
        Ok(Pages { granter, share: number(&shared, "id")?, map: number(&mapped, "id")? })
    }

    /// Has one side fill the pages from `seed`, checks that the other sees the bytes, and returns
    /// their checksum.
    pub fn cross(&mut self, pages: Pages, writer: Side, seed: u64) -> Result<String> {
        let id = |side| if side == pages.granter { pages.share } else { pages.map };
        let reader = other(writer);
        let filled = self.ask(writer, &format!("fill {} {seed}", id(writer)))?;
        let summed = self.ask(reader, &format!("sum {}", id(reader)))?;
        same_bytes(&filled, &summed)?;
        Ok(value(&filled, "crc32")?.to_owned())
    }

    /// Has the mapper unmap the pages, and then the granter free them.
    pub fn part(&mut self, pages: Pages) -> Result<()> {
        self.ask(other(pages.granter), &format!("unmap {}", pages.map))?;
        let ended = self.ask(pages.granter, &format!("unshare {}", pages.share))?;
        ensure!(value(&ended, "state")? != "parked", "nobody maps it any more, but: {ended}");
        Ok(())
    }

    /// Opens a channel between the two, on which nothing is pending.
    pub fn channel(&mut self) -> Result<Channel> {
        let linux = number(&self.ask(Side::Linux, &format!("port offer {}", self.domid))?, "port")?;
        let bound = self.ask(Side::Guest, &format!("port bind 0 {linux}"))?;
        let guest = number(&bound, "port")?;
        // Xen sends an event when a port is bound.
        self.ask(Side::Guest, &format!("port wait {guest} 5000"))?;
        Ok(Channel { guest, linux })
    }

    /// Checks that no event arrived on the guest's port.
    pub fn silent(&mut self, channel: Channel) -> Result<()> {
        self.refused(Side::Guest, &format!("port wait {} 1", channel.guest), "ETIMEDOUT").map(drop)
    }

    /// Reads the byte at an offset, as one side sees it.
    pub fn byte(&mut self, side: Side, id: u64, offset: u32) -> Result<String> {
        let read = self.ask(side, &format!("read {id} {offset} 1"))?;
        Ok(value(&read, "hex")?.to_owned())
    }

    /// Checks the state of the guest's share, page by page, as the guest reports it.
    pub fn state(&mut self, share: u64, states: &str) -> Result<()> {
        let line = self.ask(Side::Guest, &format!("state {share}"))?;
        ensure!(value(&line, "states")? == states, "not {states}: {line}");
        Ok(())
    }

    /// Has Linux's program end with everything open, mapped and shared.
    pub fn close_linux(&mut self) -> Result<()> {
        self.lab.feed(self.program, b"quit\n")?;
        self.lab.finish(self.program).map(drop)
    }

    /// Has Linux's program let go; if that ends it, starts another one.
    pub fn leave(&mut self, how: Leave) -> Result<()> {
        match how {
            Leave::By(command) => return self.ask(Side::Linux, command).map(drop),
            Leave::Ends => self.close_linux()?,
            Leave::Killed => self.lab.kill(self.program)?,
        }
        (self.program, self.asked) = (self.lab.start_with_libraries("./peer")?, 0);
        Ok(())
    }

    /// Checks that the program can share with the guest, as granter and as mapper.
    pub fn served(&mut self) -> Result<()> {
        for granter in [Side::Guest, Side::Linux] {
            let pages = self.pages(granter, 4, "", "")?;
            self.cross(pages, Side::Guest, 5)?;
            self.cross(pages, Side::Linux, 6)?;
            self.part(pages)?;
        }
        Ok(())
    }

    /// The guest's counts.
    pub fn counts(&mut self) -> Result<Counts> {
        Counts::of(&self.ask(Side::Guest, &format!("{:LINE$}", "status"))?)
    }

    /// Checks that the guest's wait for the end of the mapping ends soon.
    pub fn wait(&mut self, share: u64) -> Result<()> {
        let mark = self.lab.command(GUEST, &format!("wait {share} 10000"))?;
        let line = self.lab.answer(GUEST, mark, Duration::from_secs(15))?;
        ensure!(line.starts_with("ok wait "), "the guest answered: {line}");
        Ok(())
    }
}

/// The other side.
pub fn other(side: Side) -> Side {
    match side {
        Side::Guest => Side::Linux,
        Side::Linux => Side::Guest,
    }
}
