// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRANT_COPY, with its segments in mapped memory.
//!
//! Each status is poisoned before the call, and shows as `-` if the call didn't write it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::mem::offset_of;

use super::{Script, ended, list};
use crate::argument::Argument;
use crate::names::{File, Grant, Place};
use xen_sys::grant_table::Gntcopy;
use xen_sys::linux::gntdev::{GntdevGrantCopySegment, IOCTL_GNTDEV_GRANT_COPY};

/// The size of a segment in bytes, and the offset of its status.
const SIZE: u64 = size_of::<GntdevGrantCopySegment>() as u64;
const STATUS: u64 = offset_of!(GntdevGrantCopySegment, status) as u64;
/// Not a status of Xen's.
const POISON: u16 = 0x7777;

/// A copy's source or destination.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand {
    /// A granted page and an offset in it.
    Granted(Grant, u16),
    /// The caller's memory.
    At(Place),
}

/// One segment of a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopySegment(pub(crate) Operand, pub(crate) Operand, pub(crate) u16);

impl Operand {
    fn word(self) -> u64 {
        match self {
            // The domid has 16 bits here.
            Self::Granted(grant, offset) => {
                u64::from(grant.gref) | (u64::from(offset) << 32) | (u64::from(grant.domid) << 48)
            }
            Self::At(place) => place.value.unwrap_or(0),
        }
    }
}

impl CopySegment {
    fn bytes(self) -> Vec<u8> {
        let CopySegment(source, dest, len) = self;
        let is_grant = |operand| matches!(operand, Operand::Granted(..));
        let mut flags = Gntcopy::empty();
        flags.set(Gntcopy::SOURCE_GREF, is_grant(source));
        flags.set(Gntcopy::DEST_GREF, is_grant(dest));
        Argument::default()
            .u64(source.word())
            .u64(dest.word())
            .u16(len)
            .u16(flags.bits())
            .u16(POISON)
            .u16(0)
            .0
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted(grant, offset) => write!(f, "{grant}:{offset}"),
            Self::At(place) => write!(f, "{place}"),
        }
    }
}

impl fmt::Display for CopySegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{} {}B", self.0, self.1, self.2)
    }
}

impl Script<'_> {
    /// GRANT_COPY of `segments`, which it first writes to `at`.
    pub(crate) fn copy(&mut self, file: File, at: Place, segments: &[CopySegment]) {
        for (number, segment) in (0..).zip(segments) {
            self.poke(at.byte(number * SIZE), &segment.bytes());
        }
        let done = at.value.and_then(|addr| self.copy_call(file, addr, segments.len() as u32));
        let statuses: Vec<String> = (0..segments.len() as u64)
            .map(|number| self.status(at.byte(number * SIZE + STATUS)))
            .collect();
        let copies = if segments.len() > 4 {
            format!("[{} x{}]", segments[0], segments.len())
        } else {
            format!("[{}]", segments.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        };
        let result = format!("{} {}", ended(done), list(&statuses));
        self.line(format_args!("COPY {file} {copies}"), result);
    }

    /// GRANT_COPY of `count` segments at `at`, whatever is there.
    pub(crate) fn copy_at(&mut self, file: File, at: Place, count: u32) {
        let done = at.value.and_then(|addr| self.copy_call(file, addr, count));
        self.line(format_args!("COPY {file} {count} at {at}"), ended(done));
    }

    fn copy_call(&mut self, file: File, addr: u64, count: u32) -> Option<Result<(), crate::Errno>> {
        let mut argument = Argument::default().u32(count).u32(0).u64(addr).0;
        self.call(file, IOCTL_GNTDEV_GRANT_COPY, &mut argument)
    }

    /// Writes bytes without a line in the transcript.
    pub(crate) fn poke(&mut self, place: Place, bytes: &[u8]) {
        let Some(addr) = place.value else { return };
        for (at, byte) in (addr..).zip(bytes) {
            // A failed write shows when the bytes are read.
            let _ = self.system.store(at, *byte);
        }
    }

    fn status(&mut self, place: Place) -> String {
        let mut bytes = [0; 2];
        let Some(addr) = place.value else { return "-".to_string() };
        for (at, byte) in (addr..).zip(&mut bytes) {
            match self.system.load(at) {
                Ok(loaded) => *byte = loaded,
                Err(_) => return "-".to_string(),
            }
        }
        match u16::from_le_bytes(bytes) {
            POISON => "-".to_string(),
            status => (status as i16).to_string(),
        }
    }
}
