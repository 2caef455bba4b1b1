// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRANT_COPY: Xen copies to or from a granted page, without mapping it.
//!
//! Every segment is checked before the first byte moves. Local memory must be pages whose frames
//! are known ([`Buffer`], [`Export`]). It may cross page boundaries: the segment then takes several
//! operations, and its status is that of the first that failed.

use alloc::vec::Vec;

use xen_sys::grant_table::{GnttabCopy, GrantStatus};

use super::{Device, GntDev, IndexDevice};
use crate::buffer::Buffer;
use crate::gntalloc::Export;
use crate::memory::{PAGE_SIZE, Platform};
use crate::raw::copy::{Batch, CopySide};
use crate::raw::lengthen;
use crate::shared::Shared;
use crate::{ClaimedGrant, Errno, Error};

/// The source or the destination of a copy.
#[derive(Debug)]
pub enum CopyEnd<'a, X: Platform> {
    /// A granted page, and an offset in it.
    Grant(ClaimedGrant, u16),
    /// A local buffer, and an offset in it.
    Buffer(&'a Buffer<X>, usize),
    /// Exported pages of our own, and an offset in them.
    Export(&'a Export<X>, usize),
}

/// One copy of up to a page.
#[derive(Debug)]
pub struct Segment<'a, X: Platform> {
    /// The source.
    pub source: CopyEnd<'a, X>,
    /// The destination. At least one of the two must be a grant.
    pub dest: CopyEnd<'a, X>,
    /// The number of bytes, which must stay within a grant's page.
    pub len: u16,
    /// The outcome.
    pub status: GrantStatus,
}

// Deriving these would require `X: Copy`, although only references are copied.
impl<X: Platform> Clone for CopyEnd<'_, X> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<X: Platform> Copy for CopyEnd<'_, X> {}

impl<X: Platform> Clone for Segment<'_, X> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<X: Platform> Copy for Segment<'_, X> {}

impl<'a, X: Platform> Segment<'a, X> {
    /// Describes a copy that is still to be made.
    pub fn new(source: CopyEnd<'a, X>, dest: CopyEnd<'a, X>, len: u16) -> Self {
        Self { source, dest, len, status: GrantStatus::GENERAL_ERROR }
    }

    fn check(&self) -> Result<(), Error> {
        let ends = [&self.source, &self.dest];
        if !ends.iter().any(|end| matches!(end, CopyEnd::Grant(..))) {
            return Err(Error::Local(Errno::EINVAL, &"neither side of a segment is a grant"));
        }
        ends.iter().try_for_each(|end| end.check(self.len.into()))
    }

    /// Returns both sides of a valid segment that takes exactly one operation.
    #[inline]
    fn single(&self) -> Option<(CopySide<'a>, CopySide<'a>)> {
        let is_grant = |end: &CopyEnd<'_, X>| matches!(end, CopyEnd::Grant(..));
        if self.len == 0 || !(is_grant(&self.source) || is_grant(&self.dest)) {
            return None;
        }
        Some((self.source.in_a_page(self.len)?, self.dest.in_a_page(self.len)?))
    }

    /// Returns how many bytes its first operation copies: up to the end of the local page. A second
    /// operation copies the rest.
    fn first_len(&self) -> u16 {
        let local = match (&self.source, &self.dest) {
            (CopyEnd::Buffer(_, offset) | CopyEnd::Export(_, offset), _)
            | (_, CopyEnd::Buffer(_, offset) | CopyEnd::Export(_, offset)) => *offset,
            (CopyEnd::Grant(..), CopyEnd::Grant(..)) => 0,
        };
        self.len.min((PAGE_SIZE - local % PAGE_SIZE) as u16)
    }

    /// Returns the number of operations it takes: one, two if it crosses pages, none if it has no
    /// bytes.
    fn operations(&self) -> usize {
        usize::from(self.len > 0) + usize::from(self.first_len() < self.len)
    }

    /// Puts its operations into a batch. Returns whether there was room.
    fn put(&self, batch: &mut Batch<'a, '_>) -> Result<bool, Error> {
        let first = self.first_len();
        if batch.left() < self.operations() {
            return Ok(false);
        }
        for (skip, len) in [(0, first), (first, self.len - first)] {
            if len > 0 {
                let source = self.source.end(skip.into()).ok_or(OUTSIDE)?;
                let dest = self.dest.end(skip.into()).ok_or(OUTSIDE)?;
                batch.push(source, dest, len);
            }
        }
        Ok(true)
    }
}

impl<'a, X: Platform> CopyEnd<'a, X> {
    fn check(&self, len: usize) -> Result<(), Error> {
        match self {
            CopyEnd::Grant(_, offset) if usize::from(*offset) + len > PAGE_SIZE => {
                Err(Error::Local(Errno::EINVAL, &"a segment leaves its granted page"))
            }
            CopyEnd::Grant(..) => Ok(()),
            CopyEnd::Buffer(buffer, offset) => buffer.check(*offset, len),
            CopyEnd::Export(export, offset) => export.check(*offset, len),
        }
    }

    /// Returns this side, if `len` bytes from there on are in one page.
    #[inline]
    fn in_a_page(&self, len: u16) -> Option<CopySide<'a>> {
        let (page, offset) = match *self {
            CopyEnd::Grant(grant, offset) => {
                let is_inside = usize::from(offset) + usize::from(len) <= PAGE_SIZE;
                return is_inside.then_some(CopySide::Grant(grant, offset));
            }
            CopyEnd::Buffer(buffer, offset) => (buffer.page_at(offset).ok()?, offset % PAGE_SIZE),
            CopyEnd::Export(export, offset) => (export.page_at(offset).ok()?, offset % PAGE_SIZE),
        };
        let is_inside = offset + usize::from(len) <= PAGE_SIZE;
        is_inside.then_some(CopySide::Page(page, offset as u16))
    }

    /// Returns this side `skip` bytes further on; `None` beyond the memory, which the check has
    /// ruled out.
    fn end(&self, skip: usize) -> Option<CopySide<'a>> {
        let (page, offset) = match *self {
            CopyEnd::Grant(grant, offset) => {
                return Some(CopySide::Grant(grant, offset + skip as u16));
            }
            CopyEnd::Buffer(buffer, offset) => {
                (buffer.page(((offset + skip) / PAGE_SIZE) as u32)?, offset + skip)
            }
            CopyEnd::Export(export, offset) => {
                (export.page(((offset + skip) / PAGE_SIZE) as u32)?, offset + skip)
            }
        };
        Some(CopySide::Page(page, (offset % PAGE_SIZE) as u16))
    }
}

impl<X: Platform> Device<X> {
    /// Copies between granted pages and local memory, as [`IndexDevice::grant_copy`] does.
    ///
    /// # Errors
    /// As [`IndexDevice::grant_copy`].
    pub fn grant_copy(&self, segments: &mut [Segment<'_, X>]) -> Result<(), Error> {
        self.service().grant_copy(segments)
    }
}

impl<X: Platform> IndexDevice<X> {
    /// GRANT_COPY: carries out all segments with one hypercall or, if there is no memory for all
    /// operations at once, a few per hypercall. Each segment's status is its outcome.
    ///
    /// # Errors
    /// EINVAL, with nothing copied, if a segment has no grant on either side, or leaves its granted
    /// page or its local memory. Otherwise the hypercall's own; segments that it didn't reach have
    /// the status general_error.
    pub fn grant_copy(&self, segments: &mut [Segment<'_, X>]) -> Result<(), Error> {
        self.service().grant_copy(segments)
    }
}

impl<X: Platform> GntDev<X> {
    /// The common case: each segment is one operation, checked and added at once.
    fn grant_copy(&self, segments: &mut [Segment<'_, X>]) -> Result<(), Error> {
        let (mut few, mut many) = ([GnttabCopy::default(); FEW], Vec::new());
        let room = if segments.len() <= FEW {
            &mut few[..]
        } else if lengthen(&mut many, segments.len(), GnttabCopy::default()).is_ok() {
            &mut many[..]
        } else {
            return self.copy_by_parts(segments, false);
        };
        let mut batch = Batch::new(room);
        for segment in &*segments {
            let Some((source, dest)) = segment.single() else {
                return self.copy_by_parts(segments, true);
            };
            batch.push(source, dest, segment.len);
        }
        let copied = batch.run(&self.0.xen);
        for (segment, status) in segments.iter_mut().zip(batch.statuses()) {
            segment.status = status;
        }
        copied
    }

    /// Copies segments of any number of operations, after checking them all. `memory` is whether to
    /// try to allocate more.
    fn copy_by_parts(&self, segments: &mut [Segment<'_, X>], memory: bool) -> Result<(), Error> {
        segments.iter().try_for_each(Segment::check)?;
        segments.iter_mut().for_each(|segment| segment.status = GrantStatus::GENERAL_ERROR);
        let wanted = segments.iter().map(Segment::operations).sum();
        let (mut few, mut many) = ([GnttabCopy::default(); FEW], Vec::new());
        // Without memory for all of them, copy a few at a time.
        let more =
            memory && wanted > FEW && lengthen(&mut many, wanted, GnttabCopy::default()).is_ok();
        let room = if more { &mut many[..] } else { &mut few[..] };
        let mut rest = segments;
        while !rest.is_empty() {
            let done = self.copy_some(rest, room)?;
            rest = rest.get_mut(done..).unwrap_or_default();
        }
        Ok(())
    }

    /// Copies one hypercall's worth of segments, and returns how many.
    fn copy_some(
        &self,
        segments: &mut [Segment<'_, X>],
        room: &mut [GnttabCopy],
    ) -> Result<usize, Error> {
        let mut batch = Batch::new(room);
        let mut taken = 0;
        for segment in &*segments {
            if !segment.put(&mut batch)? {
                break;
            }
            taken += 1;
        }
        let copied = batch.run(&self.0.xen);
        let mut first = 0;
        for segment in segments.iter_mut().take(taken) {
            let end = first + segment.operations();
            let mut statuses = (first..end).map(|entry| batch.status(entry));
            let failed = statuses.find(|status| *status != GrantStatus::OKAY);
            segment.status = failed.unwrap_or(GrantStatus::OKAY);
            first = end;
        }
        copied.map(|()| taken)
    }
}

/// The number of operations for which there is always room.
const FEW: usize = 4;
const OUTSIDE: Error = Error::Local(Errno::EINVAL, &"outside the local memory of a segment");
