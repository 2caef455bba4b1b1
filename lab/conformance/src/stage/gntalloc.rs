//! The calls of gntalloc.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Stage, ended};
use crate::abi::{self, Bytes, u32_at, u64_at};
use crate::names::{File, Grant, Index, Shared};

/// Where the references lie in the structure.
const REFERENCES: usize = 16;

impl Stage<'_> {
    /// Opens gntalloc and shares `count` pages with the own domain.
    pub(crate) fn share(&mut self, count: u32) -> Shared {
        let file = self.gntalloc();
        self.alloc(file, count)
    }

    /// The same, for the peer to read only.
    pub(crate) fn share_readonly(&mut self, count: u32) -> Shared {
        let file = self.gntalloc();
        self.alloc_for(file, self.domid(), 0, count)
    }

    /// ALLOC_GREF of writable pages, for the own domain.
    pub(crate) fn alloc(&mut self, file: File, count: u32) -> Shared {
        self.alloc_for(file, self.domid(), abi::WRITABLE, count)
    }

    /// ALLOC_GREF.
    pub(crate) fn alloc_for(&mut self, file: File, domid: u16, flags: u16, count: u32) -> Shared {
        let size = REFERENCES + count as usize * size_of::<u32>();
        let argument = Bytes::default().u16(domid).u16(flags).u32(count).u64(0);
        let mut argument = argument.padded(size.max(24)).0;
        let done = self.call(file, abi::ALLOC_GREF, &mut argument);
        let given = matches!(done, Some(Ok(())));
        let index = self.name_index(given.then(|| (u64_at(&argument, 8), count.into())));
        let letter = index.to_string().chars().next().unwrap_or_default();
        let gref = |page| u32_at(&argument, REFERENCES + page as usize * size_of::<u32>());
        let own = self.domid();
        let grants: Vec<Grant> = (0..if given { count } else { 0 })
            .map(|page| Grant::named(own, gref(page), letter, page))
            .collect();
        let peer = if domid == own { "own".to_string() } else { domid.to_string() };
        let shown = if given { format!("ok {index}") } else { ended(done) };
        self.line(format_args!("ALLOC {file} {peer} flags={flags} {count}"), shown);
        Shared { file, index, grants }
    }

    /// ALLOC_GREF of as many pages as the header says, with room for fewer references behind it.
    pub(crate) fn alloc_cut(&mut self, file: File, count: u32, bytes: usize) {
        let own = self.domid();
        let mut argument = Bytes::default().u16(own).u16(0).u32(count).padded(bytes).0;
        argument.truncate(bytes);
        self.ioctl(file, &format!("ALLOC({count} in {bytes}B)"), abi::ALLOC_GREF, &mut argument);
    }

    /// DEALLOC_GREF.
    pub(crate) fn dealloc(&mut self, file: File, index: Index, count: u32) {
        let mut argument = Bytes::default().u64(index.value.unwrap_or(0)).u32(count).u32(0).0;
        let done = index.value.and_then(|_| self.call(file, abi::DEALLOC_GREF, &mut argument));
        self.line(format_args!("DEALLOC {file} {index} {count}"), ended(done));
    }
}
