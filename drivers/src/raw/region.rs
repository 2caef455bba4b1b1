// SPDX-License-Identifier: MIT OR Apache-2.0
//! Consecutive pages of other domains, mapped as a whole: what a reservation owns.
//!
//! A region has its own addresses and map operations. Once it is mapped, an access is a bounds
//! check and a copy.

use alloc::sync::Arc;

use xen_sys::grant_table::{GnttabMapGrantRef, GrantStatus};

use super::batch;
use super::notices::NoticeId;
use super::space::{Part, Space};
use crate::events::Port;
use crate::few::Few;
use crate::memory::{PAGE_SIZE, Platform};
use crate::shared::{check_range, check_word, is_within, is_word_within};
use crate::{Access, ClaimedGrant, Counters, Errno, Error, Pages};

/// Addresses, and what is mapped there.
#[derive(Debug)]
pub(crate) struct Region<X: Platform> {
    space: Arc<Space<X>>,
    /// `None` once it is closed.
    part: Option<Part>,
    addr: usize,
    ops: Few<GnttabMapGrantRef>,
    /// How many bytes from its start can be read, and written: all while it is mapped, or none.
    readable: usize,
    writable: usize,
    /// Whether some pages may still be mapped though the region is not, because Xen refused to
    /// unmap them.
    rest: bool,
    /// How often the domain had been restored when the operations were filled in.
    filled: u32,
    notice: Option<RegionNotice>,
}

/// A region's notice.
#[derive(Debug)]
struct RegionNotice {
    id: NoticeId,
    /// The byte to clear when the region is unmapped, until that is done.
    byte: Option<u32>,
}

impl<X: Platform> Region<X> {
    /// Takes addresses and fills in operations for `grants`, at least one. Doesn't map anything
    /// yet.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn new(space: &Arc<Space<X>>, grants: &[ClaimedGrant]) -> Result<Self, Error> {
        let (part, addr, ops) = space.take(grants)?;
        let (filled, space, part) = (space.xen().restores(), space.clone(), Some(part));
        Ok(Self {
            space,
            part,
            addr,
            ops,
            readable: 0,
            writable: 0,
            rest: false,
            filled,
            notice: None,
        })
    }

    /// Takes the region out of a place that is about to be dropped, where nothing is left of it.
    #[cold]
    pub(crate) fn take(&mut self) -> Self {
        Self {
            space: self.space.clone(),
            part: self.part.take(),
            ops: core::mem::take(&mut self.ops),
            notice: self.notice.take(),
            readable: core::mem::take(&mut self.readable),
            writable: core::mem::take(&mut self.writable),
            rest: core::mem::take(&mut self.rest),
            ..*self
        }
    }

    /// Returns the address of its first byte.
    pub(crate) fn addr(&self) -> usize {
        self.addr
    }

    pub(crate) fn pages(&self) -> Pages {
        Pages(self.ops.len() as u32)
    }

    /// Returns its length in bytes.
    pub(crate) fn size(&self) -> usize {
        self.ops.len() * PAGE_SIZE
    }

    /// Returns each reference, and Xen's status of its last map.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = (ClaimedGrant, GrantStatus)> {
        self.ops.iter().map(|op| (batch::grant(op), op.status))
    }

    /// Whether all of it is mapped.
    pub(crate) fn is_mapped(&self) -> bool {
        self.readable > 0
    }

    /// Whether it is not mapped, but some of its pages are, because Xen refused to unmap them.
    pub(crate) fn has_rest(&self) -> bool {
        self.rest
    }

    /// Returns how many pages are mapped now.
    pub(crate) fn mapped(&self) -> u32 {
        if self.is_mapped() || self.rest { self.count_mapped() } else { 0 }
    }

    fn count_mapped(&self) -> u32 {
        self.ops.iter().filter(|op| batch::mapped(op).is_some()).count() as u32
    }

    /// Maps all of it or nothing, with one hypercall, after unmapping what an earlier try left.
    ///
    /// # Errors
    /// EINVAL if it is mapped, or for a page that can't be mapped; Xen's status of the first page it
    /// refused to unmap or map. A page that was mapped and can't be unmapped again stays mapped
    /// until [`Region::unmap`] has unmapped it.
    pub(crate) fn map(&mut self, access: Access) -> Result<(), Error> {
        if self.is_mapped() {
            return Err(Error::Local(Errno::EINVAL, &"one of its pages is still mapped"));
        }
        if self.rest {
            self.unmap()?;
        }
        let restores = self.space.xen().restores();
        if let Some(part) = self.part.as_ref().filter(|_| self.filled != restores) {
            self.space.refill(part, &mut self.ops);
            self.filled = restores;
        }
        let (xen, barred) = (self.space.xen(), self.space.barred());
        // SAFETY: the addresses are this region's, prepared, and nothing is mapped there: otherwise
        // it would be mapped, or `rest` set.
        let mapped = unsafe { batch::map(xen, &mut self.ops, self.space.unmaps(), access, barred) };
        if mapped.is_err() {
            self.rest = self.count_mapped() > 0;
            return mapped;
        }
        self.readable = self.size();
        self.writable = if access == Access::ReadWrite { self.readable } else { 0 };
        self.notice.iter().for_each(|pending| self.arm(pending));
        Ok(())
    }

    /// Clears the notice's byte, then unmaps what is mapped, with one hypercall.
    ///
    /// # Errors
    /// Xen's status of the first page it refused to unmap. None of the region is accessible any
    /// more; another call unmaps the rest.
    #[inline]
    pub(crate) fn unmap(&mut self) -> Result<(), Error> {
        if self.is_mapped() || self.rest { self.unmap_all() } else { Ok(()) }
    }

    fn unmap_all(&mut self) -> Result<(), Error> {
        if let Some(pending) = &mut self.notice
            && self.readable > 0
        {
            self.space.notices().clear_byte(&pending.id);
            pending.byte = None;
        }
        (self.readable, self.writable) = (0, 0);
        let unmapped = batch::unmap(self.space.xen(), &mut self.ops, self.space.unmaps());
        self.rest = unmapped.is_err() && self.count_mapped() > 0;
        unmapped
    }

    /// Sets the notice: the byte at an offset is cleared when the region is unmapped, the event is
    /// sent when it is dropped. Replaces an earlier notice.
    ///
    /// # Errors
    /// EINVAL for a byte outside the region or of a read-only mapping; ENOMEM.
    pub(crate) fn set_notice(
        &mut self,
        byte: Option<usize>,
        event: Option<Port<X>>,
    ) -> Result<(), Error> {
        if let Some(byte) = byte {
            check_range(self.size(), byte, 1)?;
            if self.is_mapped() && self.writable == 0 {
                return Err(READ_ONLY_BYTE);
            }
        }
        let new = match (byte, &event) {
            (None, None) => None,
            _ => {
                // A region has fewer than 2^20 pages.
                let byte = byte.map(|byte| byte as u32);
                Some(RegionNotice { id: self.space.notices().add(event)?, byte })
            }
        };
        new.iter().for_each(|pending| self.arm(pending));
        if let Some(old) = core::mem::replace(&mut self.notice, new) {
            self.space.notices().remove(old.id);
        }
        Ok(())
    }

    /// If the byte is writable, makes sure that it is cleared even if the guest dies.
    fn arm(&self, pending: &RegionNotice) {
        if self.writable > 0
            && let Some(byte) = pending.byte
        {
            // SAFETY: the byte is in this region, which is mapped writable; `unmap` disarms the
            // notice first.
            unsafe { self.space.notices().arm(&pending.id, self.addr + byte as usize) };
        }
    }

    /// Copies `bytes` out, from `offset` on.
    ///
    /// # Errors
    /// EINVAL outside, or while it is not mapped.
    #[inline]
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        if !is_within(self.readable, offset, bytes.len()) {
            return Err(self.why_not(offset, bytes.len()));
        }
        Counters::add(&self.space.xen().counters().copied, bytes.len() as u64);
        // SAFETY: inside, and all of it is mapped: checked above.
        unsafe { self.space.xen().read(self.addr + offset, bytes) };
        Ok(())
    }

    /// Copies `bytes` in, from `offset` on.
    ///
    /// # Errors
    /// EINVAL outside, or while it is not mapped writable.
    #[inline]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        if !is_within(self.writable, offset, bytes.len()) {
            return Err(self.why_not(offset, bytes.len()));
        }
        Counters::add(&self.space.xen().counters().copied, bytes.len() as u64);
        // SAFETY: inside, and all of it is mapped writable: checked above.
        unsafe { self.space.xen().write(self.addr + offset, bytes) };
        Ok(())
    }

    /// Reads an aligned 32-bit word.
    ///
    /// # Errors
    /// EINVAL outside, if the offset is not a multiple of 4, or while it is not mapped.
    #[inline]
    pub(crate) fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        if !is_word_within(self.readable, offset) {
            return Err(self.why_no_word(offset));
        }
        // SAFETY: aligned, inside, and all of it is mapped: checked above.
        Ok(unsafe { self.space.xen().load_u32(self.addr + offset) })
    }

    /// Writes an aligned 32-bit word.
    ///
    /// # Errors
    /// EINVAL outside, if the offset is not a multiple of 4, or while it is not mapped writable.
    #[inline]
    pub(crate) fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        if !is_word_within(self.writable, offset) {
            return Err(self.why_no_word(offset));
        }
        // SAFETY: aligned, inside, and all of it is mapped writable: checked above.
        unsafe { self.space.xen().store_u32(self.addr + offset, value) };
        Ok(())
    }

    /// Atomically sets bits of a byte and returns the previous value.
    ///
    /// # Errors
    /// EINVAL outside, or while it is not mapped writable.
    pub(crate) fn fetch_or_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        if !is_within(self.writable, offset, 1) {
            return Err(self.why_not(offset, 1));
        }
        // SAFETY: inside, and all of it is mapped writable: checked above.
        Ok(unsafe { self.space.xen().fetch_or_u8(self.addr + offset, bits) })
    }

    /// Atomically keeps these bits of a byte, clears the others, and returns the previous value.
    ///
    /// # Errors
    /// EINVAL outside, or while it is not mapped writable.
    pub(crate) fn fetch_and_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        if !is_within(self.writable, offset, 1) {
            return Err(self.why_not(offset, 1));
        }
        // SAFETY: inside, and all of it is mapped writable: checked above.
        Ok(unsafe { self.space.xen().fetch_and_u8(self.addr + offset, bits) })
    }

    /// Tries to store one byte, whatever the mapping allows. Returns whether it was stored.
    ///
    /// # Errors
    /// EINVAL outside, or while it is not mapped.
    pub(crate) fn probe_write(&self, offset: usize, value: u8) -> Result<bool, Error> {
        if !is_within(self.readable, offset, 1) {
            return Err(self.why_not(offset, 1));
        }
        // SAFETY: inside, and all of it is mapped: checked above.
        Ok(unsafe { self.space.xen().probe_write(self.addr + offset, value) })
    }

    /// Returns the error for a range that can't be used.
    #[cold]
    fn why_not(&self, offset: usize, len: usize) -> Error {
        check_range(self.size(), offset, len).err().unwrap_or(NOT_MAPPED)
    }

    /// Returns the error for a word that can't be used.
    #[cold]
    fn why_no_word(&self, offset: usize) -> Error {
        check_word(self.size(), offset).err().unwrap_or(NOT_MAPPED)
    }
}

impl<X: Platform> Region<X> {
    /// Fires the notice of an unmapped region, and gives the addresses back. What is left of it can
    /// only be dropped.
    pub(crate) fn close(&mut self) {
        if let Some(pending) = self.notice.take() {
            self.space.notices().fire(pending.id);
        }
        // Addresses with a page that Xen refuses to unmap are never used again.
        let mapped = self.is_mapped() || self.rest;
        if let Some(part) = self.part.take().filter(|_| !mapped) {
            self.space.give(part);
        }
    }
}

impl<X: Platform> Drop for Region<X> {
    fn drop(&mut self) {
        if self.part.is_some() {
            let _ = self.unmap();
            self.close();
        }
    }
}

/// The error for a byte to clear in a read-only mapping.
pub(crate) const READ_ONLY_BYTE: Error =
    Error::Local(Errno::EINVAL, &"can't clear a byte of a read-only mapping");
const NOT_MAPPED: Error = Error::Local(Errno::EINVAL, &"not mapped for this access");
