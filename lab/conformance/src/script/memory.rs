// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory: mmap and munmap on either device, and reads and writes of bytes.

use alloc::format;
use alloc::string::{String, ToString};

use super::{How, Script, ended, shown};
use crate::PAGE;
use crate::names::{File, Index, Place};

impl Script<'_> {
    pub(crate) fn mmap(&mut self, file: File, index: Index, pages: u64, how: How) -> Place {
        self.mmap_bytes(file, index, pages.wrapping_mul(PAGE), how)
    }

    pub(crate) fn mmap_bytes(&mut self, file: File, index: Index, length: u64, how: How) -> Place {
        let mapped = file
            .number
            .zip(index.value)
            .map(|(number, offset)| self.system.mmap(number, length, how.prot, how.flags, offset));
        let place = Place::named(char::from(b'a' + self.places), mapped.and_then(Result::ok));
        self.places += 1;
        let result = match mapped {
            Some(Ok(_)) => format!("ok {place}"),
            Some(Err(errno)) => shown(Err(errno)),
            None => "skipped".to_string(),
        };
        let how = how.shown;
        self.line(format_args!("mmap {file} {index} {} {how}", size(length)), result);
        place
    }

    pub(crate) fn munmap(&mut self, place: Place, pages: u64) {
        let unmapped = place.value.map(|addr| self.system.munmap(addr, pages * PAGE));
        self.line(format_args!("munmap {place} {}", size(pages * PAGE)), ended(unmapped));
    }

    pub(crate) fn load(&mut self, place: Place) {
        let result = match place.value.map(|addr| self.system.load(addr)) {
            Some(Ok(byte)) => format!("{byte}"),
            Some(Err(errno)) => shown(Err(errno)),
            None => "skipped".to_string(),
        };
        self.line(format_args!("load {place}"), result);
    }

    pub(crate) fn store(&mut self, place: Place, value: u8) {
        let stored = place.value.map(|addr| self.system.store(addr, value));
        self.line(format_args!("store {place} {value}"), ended(stored));
    }
}

/// Formats a length, in pages if it's a whole number of them.
fn size(length: u64) -> String {
    if length.is_multiple_of(PAGE) { (length / PAGE).to_string() } else { format!("{length}B") }
}
