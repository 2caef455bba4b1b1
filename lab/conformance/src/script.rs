// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a scenario acts through: calls, each of which writes a line of the transcript, and the
//! names given so far.
//!
//! The modules `gntdev` and `gntalloc` have the calls of one device each, `copy` has copies,
//! `memory` has memory.

mod copy;
mod gntalloc;
mod gntdev;
mod memory;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{Display, Write};

pub(crate) use self::copy::{CopySegment, Operand};
use crate::argument::Argument;
use crate::names::{Channel, File, Index};
use crate::{Errno, GrantDevice, PAGE, System};
use xen_sys::linux::mman::{MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE};

/// A mapping's protection and flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    prot: u32,
    flags: u32,
    shown: &'static str,
}

/// Shared, for reading and writing.
pub(crate) const RW: How = How { prot: PROT_READ | PROT_WRITE, flags: MAP_SHARED, shown: "rw" };
/// Shared, for reading.
pub(crate) const RO: How = How { prot: PROT_READ, flags: MAP_SHARED, shown: "ro" };
/// Private, for reading and writing.
pub(crate) const PRIVATE_RW: How = How { flags: MAP_PRIVATE, shown: "private-rw", ..RW };
/// Private, for reading.
pub(crate) const PRIVATE_RO: How = How { flags: MAP_PRIVATE, shown: "private-ro", ..RO };

/// One run of a scenario on a system.
pub struct Script<'a> {
    scenario: &'static str,
    system: &'a mut dyn System,
    say: &'a mut dyn FnMut(&str),
    step: u32,
    opened: [u32; 2],
    /// The index and number of pages behind each letter.
    indices: Vec<(u64, u64)>,
    places: u8,
}

impl core::fmt::Debug for Script<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Script({} {})", self.scenario, self.step)
    }
}

impl<'a> Script<'a> {
    pub(crate) fn new(
        scenario: &'static str,
        system: &'a mut dyn System,
        say: &'a mut dyn FnMut(&str),
    ) -> Self {
        Self { scenario, system, say, step: 0, opened: [0; 2], indices: Vec::new(), places: 0 }
    }

    fn line(&mut self, call: impl Display, result: impl Display) {
        self.step += 1;
        (self.say)(&format!("{} {} {call} -> {result}", self.scenario, self.step));
    }

    /// Returns the domain's own domid.
    pub(crate) fn domid(&self) -> u16 {
        self.system.domid()
    }

    pub(crate) fn open(&mut self, device: GrantDevice) -> File {
        let opened = self.system.open(device);
        let ordinal = &mut self.opened[device as usize];
        *ordinal += 1;
        let file = File { device, ordinal: *ordinal, number: opened.ok() };
        self.line(format_args!("open {file}"), shown(opened.map(drop)));
        file
    }

    pub(crate) fn gntdev(&mut self) -> File {
        self.open(GrantDevice::Gntdev)
    }

    pub(crate) fn gntalloc(&mut self) -> File {
        self.open(GrantDevice::Gntalloc)
    }

    pub(crate) fn close(&mut self, file: File) {
        let closed = file.number.map(|number| self.system.close(number));
        self.line(format_args!("close {file}"), ended(closed));
    }

    /// Makes an ioctl with the given argument.
    pub(crate) fn ioctl(&mut self, file: File, words: &str, command: u32, argument: &mut [u8]) {
        let done = self.call(file, command, argument);
        self.line(format_args!("{words} {file}"), ended(done));
    }

    /// Makes the call without writing a line; `None` without a file.
    fn call(&mut self, file: File, command: u32, argument: &mut [u8]) -> Option<Result<(), Errno>> {
        // Both devices return only 0 for success.
        let odd = Errno(0);
        let done = |number| match self.system.ioctl(number, command, argument) {
            Ok(0) => Ok(()),
            Ok(_) => Err(odd),
            Err(errno) => Err(errno),
        };
        file.number.map(done)
    }

    /// Makes the call without writing a line, with an argument that is an index and two more
    /// numbers; `None` without a file or an index.
    fn call_at(
        &mut self,
        file: File,
        command: u32,
        index: Index,
        [first, second]: [u32; 2],
    ) -> Option<Result<(), Errno>> {
        let mut argument = Argument::default().u64(index.value?).u32(first).u32(second).0;
        self.call(file, command, &mut argument)
    }

    /// Gives the next letter to the index and pages that a call returned. A refused call uses up a
    /// letter too, so that later lines are the same on a system that refuses it and one that
    /// doesn't.
    fn name_index(&mut self, given: Option<(u64, u64)>) -> Index {
        let letter = char::from(b'A' + self.indices.len() as u8);
        self.indices.push(given.unwrap_or_default());
        Index::named(letter, given.map(|(index, _)| index))
    }

    /// Returns the name of an index: the latest, if it has several.
    fn find_index(&self, index: u64) -> String {
        let named = self.indices.iter().enumerate().rev().find_map(|(number, (first, pages))| {
            let bytes = index.checked_sub(*first).filter(|bytes| *bytes < pages * PAGE)?;
            let letter = char::from(b'A' + number as u8);
            Some(Index::named(letter, Some(*first)).byte(bytes).to_string())
        });
        named.unwrap_or_else(|| "nowhere".to_string())
    }

    /// Opens an event channel from this domain to itself. If that fails, its ports are invalid.
    pub(crate) fn channel(&mut self) -> Channel {
        let channel = self.system.channel();
        self.line("channel", shown(channel.map(drop)));
        let (sends, rings) = channel.unwrap_or((u32::MAX, u32::MAX));
        // A newly bound port has an event pending.
        self.system.rang(rings);
        Channel { sends, rings }
    }

    pub(crate) fn rang(&mut self, channel: Channel) {
        let rang = self.system.rang(channel.rings);
        self.line("rang", if rang { "yes" } else { "no" });
    }
}

/// An errno of Linux's that is not in Xen's list.
const ENOTTY: Errno = Errno(25);

fn shown(result: Result<(), Errno>) -> String {
    match result {
        Ok(()) => "ok".to_string(),
        Err(ENOTTY) => "ENOTTY".to_string(),
        Err(errno) => format!("{errno:?}"),
    }
}

/// Formats the result of a call; `skipped` if it was not made.
fn ended(result: Option<Result<(), Errno>>) -> String {
    result.map_or_else(|| "skipped".to_string(), shown)
}

/// Formats a list in brackets.
fn list<T: Display>(things: impl IntoIterator<Item = T>) -> String {
    let mut shown = String::from("[");
    for (number, thing) in things.into_iter().enumerate() {
        // Writing to a string can't fail.
        let _ = write!(shown, "{}{thing}", if number > 0 { " " } else { "" });
    }
    shown + "]"
}
