//! What scenarios hold: files, indices, references and addresses, under names that do not depend on the system.
//!
//! Each remembers its real value and shows its name. What a call failed to make has none; calls on it are skipped.

use alloc::vec::Vec;
use core::fmt;

use crate::Device;
use crate::abi::PAGE;

/// An open file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    pub(crate) device: Device,
    /// Which one of its device in this scenario, from 1.
    pub(crate) ordinal: u32,
    pub(crate) number: Option<u32>,
}

/// A place that was named: a letter, and so many bytes further on.
#[derive(Clone, Copy, Debug)]
struct Name {
    letter: char,
    bytes: u64,
}

/// An index of a device's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    name: Option<Name>,
    pub(crate) value: Option<u64>,
}

/// An address in a mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    name: Option<Name>,
    pub(crate) value: Option<u64>,
}

/// A reference, and who grants it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    pub(crate) domid: u32,
    pub(crate) gref: u32,
    name: Option<(char, u32)>,
}

/// What an allocation made.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) file: File,
    pub(crate) index: Index,
    pub(crate) grants: Vec<Grant>,
}

/// An event channel: the port to send through, and the one that rings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel {
    pub(crate) sends: u32,
    pub(crate) rings: u32,
}

impl Index {
    /// One that was not given out.
    pub(crate) fn raw(value: u64) -> Self {
        Self { name: None, value: Some(value) }
    }

    pub(crate) fn named(letter: char, value: Option<u64>) -> Self {
        Self { name: Some(Name { letter, bytes: 0 }), value }
    }

    /// So many pages further on.
    pub(crate) fn page(self, pages: u64) -> Self {
        self.byte(pages * PAGE)
    }

    /// So many bytes further on.
    pub(crate) fn byte(self, bytes: u64) -> Self {
        let name = self.name.map(|name| Name { bytes: name.bytes + bytes, ..name });
        Self { name, value: self.value.map(|value| value.wrapping_add(bytes)) }
    }
}

impl Place {
    /// One that was not given out.
    pub(crate) fn raw(value: u64) -> Self {
        Self { name: None, value: Some(value) }
    }

    pub(crate) fn named(letter: char, value: Option<u64>) -> Self {
        Self { name: Some(Name { letter, bytes: 0 }), value }
    }

    /// So many pages further on.
    pub(crate) fn page(self, pages: u64) -> Self {
        self.byte(pages * PAGE)
    }

    /// So many bytes further on.
    pub(crate) fn byte(self, bytes: u64) -> Self {
        let name = self.name.map(|name| Name { bytes: name.bytes + bytes, ..name });
        Self { name, value: self.value.map(|value| value.wrapping_add(bytes)) }
    }
}

impl Grant {
    pub(crate) fn named(domid: u16, gref: u32, letter: char, page: u32) -> Self {
        Self { domid: domid.into(), gref, name: Some((letter, page)) }
    }

    /// Somebody else's, or nobody's.
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

/// The name, or the number of what has none.
fn show(f: &mut fmt::Formatter<'_>, name: Option<Name>, value: Option<u64>) -> fmt::Result {
    match (name, value) {
        (Some(name), _) => write!(f, "{name}"),
        (None, value) => write!(f, "{:#x}", value.unwrap_or(0)),
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.name, self.value)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.name, self.value)
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
