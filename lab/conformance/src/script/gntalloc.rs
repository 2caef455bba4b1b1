// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls of gntalloc.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::mem::offset_of;

use super::{Script, ended};
use crate::argument::Argument;
use crate::names::{Allocation, File, Grant, Index};
use xen_sys::linux::gntalloc::{
    GntallocFlag, IOCTL_GNTALLOC_ALLOC_GREF, IOCTL_GNTALLOC_DEALLOC_GREF, IoctlGntallocAllocGref,
};

/// The offset of the grefs in the structure.
const REFERENCES: usize = offset_of!(IoctlGntallocAllocGref, gref_ids);

impl Script<'_> {
    /// Opens gntalloc and shares `count` writable pages with the domain itself.
    pub(crate) fn share(&mut self, count: u32) -> Allocation {
        let file = self.gntalloc();
        self.alloc(file, count)
    }

    /// Like `share`, with pages that are read-only for the peer.
    pub(crate) fn share_readonly(&mut self, count: u32) -> Allocation {
        let file = self.gntalloc();
        self.alloc_for(file, self.domid(), 0, count)
    }

    /// ALLOC_GREF of writable pages for the domain itself.
    pub(crate) fn alloc(&mut self, file: File, count: u32) -> Allocation {
        self.alloc_for(file, self.domid(), GntallocFlag::WRITABLE.bits(), count)
    }

    /// ALLOC_GREF.
    pub(crate) fn alloc_for(
        &mut self,
        file: File,
        domid: u16,
        flags: u16,
        count: u32,
    ) -> Allocation {
        let size = REFERENCES + count as usize * size_of::<u32>();
        let argument = Argument::default().u16(domid).u16(flags).u32(count).u64(0);
        let mut argument = argument.padded(size.max(size_of::<IoctlGntallocAllocGref>()));
        let done = self.call(file, IOCTL_GNTALLOC_ALLOC_GREF, &mut argument.0);
        let given = matches!(done, Some(Ok(())));
        let index = self.name_index(given.then(|| {
            let index = argument.u64_at(offset_of!(IoctlGntallocAllocGref, index));
            (index, count.into())
        }));
        let letter = index.to_string().chars().next().unwrap_or_default();
        let gref = |page| argument.u32_at(REFERENCES + page as usize * size_of::<u32>());
        let own = self.domid();
        let grants: Vec<Grant> = (0..if given { count } else { 0 })
            .map(|page| Grant::named(own, gref(page), letter, page))
            .collect();
        let peer = if domid == own { "own".to_string() } else { domid.to_string() };
        let shown = if given { format!("ok {index}") } else { ended(done) };
        self.line(format_args!("ALLOC {file} {peer} flags={flags} {count}"), shown);
        Allocation { file, index, grants }
    }

    /// ALLOC_GREF with a header that says `count`, in an argument of only `bytes` bytes.
    pub(crate) fn alloc_cut(&mut self, file: File, count: u32, bytes: usize) {
        let own = self.domid();
        let mut argument = Argument::default().u16(own).u16(0).u32(count).padded(bytes).0;
        let words = format!("ALLOC({count} in {bytes}B)");
        self.ioctl(file, &words, IOCTL_GNTALLOC_ALLOC_GREF, &mut argument[..bytes]);
    }

    /// DEALLOC_GREF.
    pub(crate) fn dealloc(&mut self, file: File, index: Index, count: u32) {
        let done = self.call_at(file, IOCTL_GNTALLOC_DEALLOC_GREF, index, [count, 0]);
        self.line(format_args!("DEALLOC {file} {index} {count}"), ended(done));
    }
}
