// SPDX-License-Identifier: MIT OR Apache-2.0
//! Permissions as xenstore writes them: a letter and a domid.

use alloc::vec::Vec;

use super::GARBAGE;
use super::message::digits;
use crate::{DomId, Error, list};

/// What one domain may do with a node.
///
/// In a list, the first entry names the owner, which may do everything, and says what domains
/// without an entry of their own may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The domain.
    pub domid: DomId,
    /// Whether it may read the node.
    pub read: bool,
    /// Whether it may write the node.
    pub write: bool,
}

impl Permission {
    /// `domid` may neither read nor write. As the first entry: it owns the node, and others may do
    /// neither.
    pub const fn none(domid: DomId) -> Self {
        Self { domid, read: false, write: false }
    }

    /// `domid` may read. As the first entry: it owns the node, and all others may read.
    pub const fn read(domid: DomId) -> Self {
        Self { domid, read: true, write: false }
    }

    /// `domid` may write. As the first entry: it owns the node, and all others may write.
    pub const fn write(domid: DomId) -> Self {
        Self { domid, read: false, write: true }
    }

    /// `domid` may read and write. As the first entry: it owns the node, and all others may do
    /// both.
    pub const fn both(domid: DomId) -> Self {
        Self { domid, read: true, write: true }
    }
}

/// Formats a list for sending: each entry is terminated by a zero byte.
pub(super) fn format(entries: &[Permission]) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    for entry in entries {
        let letter = match (entry.read, entry.write) {
            (false, false) => b'n',
            (true, false) => b'r',
            (false, true) => b'w',
            (true, true) => b'b',
        };
        let mut buffer = [0; 10];
        let digits = digits(entry.domid.get().into(), &mut buffer);
        list::extend(&mut text, [&[letter], digits, b"\0"].into_iter().flatten().copied())?;
    }
    Ok(text)
}

/// Parses a list as received.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Permission>, Error> {
    let mut entries = Vec::new();
    for word in super::names(text) {
        let (letter, number) = word.split_at(1);
        let (read, write) = match letter {
            b"n" => (false, false),
            b"r" => (true, false),
            b"w" => (false, true),
            b"b" => (true, true),
            _ => return Err(GARBAGE),
        };
        let number = str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        let domid = number.and_then(DomId::new).ok_or(GARBAGE)?;
        list::push(&mut entries, Permission { domid, read, write })?;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_written_and_read_as_a_letter_and_a_number() {
        let text = b"n0\0r12\0w345\0b32751\0";
        let list = parse(text).unwrap();
        assert_eq!(list.len(), 4);
        assert_eq!(format(&list).unwrap(), text);
        for wrong in [&b"x1\0"[..], b"r\0", b"r-1\0", b"r99999\0", b"r1x\0", b"\xff1\0"] {
            assert_eq!(parse(wrong), Err(GARBAGE), "{wrong:?}");
        }
    }
}
