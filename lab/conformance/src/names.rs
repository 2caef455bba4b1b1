// SPDX-License-Identifier: MIT OR Apache-2.0
//! What scenarios hold: files, indices, grefs and addresses, under names that don't depend on the
//! system.
//!
//! Each keeps its real value and displays its name. The result of a failed call has no value, and
//! calls on it are skipped.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use crate::{GrantDevice, PAGE};

/// An open file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    pub(crate) device: GrantDevice,
    /// Its number among this scenario's files of the same device, from 1.
    pub(crate) ordinal: u32,
    pub(crate) number: Option<u32>,
}

/// The name of a place: a letter, and an offset in bytes.
#[derive(Clone, Copy, Debug)]
struct Name {
    letter: char,
    bytes: u64,
}

/// An index or an address, with its name and its real value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot<Kind> {
    name: Option<Name>,
    pub(crate) value: Option<u64>,
    kind: PhantomData<Kind>,
}

/// Marks a device's index space.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Indices {}

/// Marks the caller's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Memory {}

/// An index in a device's index space.
pub(crate) type Index = Spot<Indices>;

/// An address in a mapping.
pub(crate) type Place = Spot<Memory>;

/// A gref and its granter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub(crate) domid: u32,
    pub(crate) gref: u32,
    name: Option<(char, u32)>,
}

/// The result of an allocation.
#[derive(Clone, Debug)]
pub(crate) struct Allocation {
    pub(crate) file: File,
    pub(crate) index: Index,
    pub(crate) grants: Vec<Grant>,
}

/// Pages that the domain shares with itself and has mapped.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    /// The gntdev that maps them.
    pub(crate) dev: File,
    pub(crate) pages: Allocation,
    /// The reservation's first index.
    pub(crate) run: Index,
    pub(crate) at: Place,
}

/// An event channel: the port that sends, and the one that receives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel {
    pub(crate) sends: u32,
    pub(crate) rings: u32,
}

impl<Kind> Spot<Kind> {
    /// A value that no call returned.
    pub(crate) fn raw(value: u64) -> Self {
        Self { name: None, value: Some(value), kind: PhantomData }
    }

    pub(crate) fn named(letter: char, value: Option<u64>) -> Self {
        Self { name: Some(Name { letter, bytes: 0 }), value, kind: PhantomData }
    }

    /// Returns the place `pages` pages further on.
    pub(crate) fn page(self, pages: u64) -> Self {
        self.byte(pages * PAGE)
    }

    /// Returns the place `bytes` bytes further on.
    pub(crate) fn byte(self, bytes: u64) -> Self {
        let name = self.name.map(|name| Name { bytes: name.bytes + bytes, ..name });
        let value = self.value.map(|value| value.wrapping_add(bytes));
        Self { name, value, kind: PhantomData }
    }
}

impl Grant {
    pub(crate) fn named(domid: u16, gref: u32, letter: char, page: u32) -> Self {
        Self { domid: domid.into(), gref, name: Some((letter, page)) }
    }

    /// A grant that no call returned: another domain's, or a nonexistent one.
    pub(crate) fn raw(domid: u32, gref: u32) -> Self {
        Self { domid, gref, name: None }
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.device.name())?;
        if self.ordinal > 1 { write!(f, "{}", self.ordinal) } else { Ok(()) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter)?;
        match (self.bytes / PAGE, self.bytes % PAGE) {
            (0, 0) => Ok(()),
            (pages, 0) => write!(f, "+{pages}"),
            (pages, bytes) => write!(f, "+{pages}:{bytes}"),
        }
    }
}

/// The name, or else the value.
impl<Kind> fmt::Display for Spot<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "{name}"),
            None => write!(f, "{:#x}", self.value.unwrap_or(0)),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some((letter, page)) => write!(f, "{letter}{page}"),
            None => f.write_str("?"),
        }
    }
}
