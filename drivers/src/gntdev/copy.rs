//! GRANT_COPY: Xen copies between a granted page and memory of ours, without mapping.
//!
//! Every segment is checked before the first byte moves. Local memory has to be pages whose
//! frames are known ([`Buffer`], [`Export`]) and may cross their boundaries: a segment is then
//! several operations, and its status is that of the first that failed.

use xen_sys::grant_table::GrantStatus;

use super::{Device, GntDev, IndexDevice};
use crate::buffer::Buffer;
use crate::gntalloc::Export;
use crate::memory::{PAGE_SIZE, Platform};
use crate::raw::copy::{BATCH, Batch, CopySide};
use crate::shared::{Shared, by_page};
use crate::{ClaimedGrant, Errno, Error};

/// Where a copy takes its bytes from, or where it puts them.
#[derive(Debug)]
pub enum CopyEnd<'a, X: Platform> {
    /// A granted page, and an offset in it.
    Grant(ClaimedGrant, u16),
    /// Memory of ours, and an offset in it.
    Buffer(&'a Buffer<X>, usize),
    /// Memory of ours that is granted to somebody, and an offset in it.
    Export(&'a Export<X>, usize),
}

/// One copy of up to a page.
#[derive(Debug)]
pub struct Segment<'a, X: Platform> {
    /// From where.
    pub source: CopyEnd<'a, X>,
    /// To where. At least one of the two is a grant.
    pub dest: CopyEnd<'a, X>,
    /// How many bytes. A grant's page is not left.
    pub len: u16,
    /// The outcome.
    pub status: GrantStatus,
}

// Derived, they would ask for an X that can be copied; what is copied here is references.
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
    /// A copy that was not made yet.
    pub fn new(source: CopyEnd<'a, X>, dest: CopyEnd<'a, X>, len: u16) -> Self {
        Self { source, dest, len, status: GrantStatus::GENERAL_ERROR }
    }

    fn check(&self) -> Result<(), Error> {
        let ends = [&self.source, &self.dest];
        if !ends.iter().any(|end| matches!(end, CopyEnd::Grant(..))) {
            return Err(Error::Local(Errno::EINVAL, "neither side of a segment is a grant"));
        }
        ends.iter().try_for_each(|end| end.check(self.len.into()))
    }

    /// The operations it takes: where each begins in it, and its length.
    fn parts(&self) -> impl Iterator<Item = (usize, usize)> + use<'a, X> {
        let local = match (&self.source, &self.dest) {
            (CopyEnd::Buffer(_, offset) | CopyEnd::Export(_, offset), _)
            | (_, CopyEnd::Buffer(_, offset) | CopyEnd::Export(_, offset)) => *offset,
            (CopyEnd::Grant(..), CopyEnd::Grant(..)) => 0,
        };
        let mut done = 0;
        by_page(local, self.len.into()).map(move |(_, _, len)| {
            let part = (done, len);
            done += len;
            part
        })
    }
}

impl<'a, X: Platform> CopyEnd<'a, X> {
    fn check(&self, len: usize) -> Result<(), Error> {
        match self {
            CopyEnd::Grant(_, offset) if usize::from(*offset) + len > PAGE_SIZE => {
                Err(Error::Local(Errno::EINVAL, "a segment leaves its granted page"))
            }
            CopyEnd::Grant(..) => Ok(()),
            CopyEnd::Buffer(buffer, offset) => buffer.check(*offset, len),
            CopyEnd::Export(export, offset) => export.check(*offset, len),
        }
    }

    /// The place `skip` bytes further. `None` beyond the memory, which was checked.
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
    /// Has Xen copy between granted pages and memory of ours, as
    /// [`IndexDevice::grant_copy`] does.
    ///
    /// # Errors
    /// As [`IndexDevice::grant_copy`].
    pub fn grant_copy(&self, segments: &mut [Segment<'_, X>]) -> Result<(), Error> {
        self.service().grant_copy(segments)
    }
}

impl<X: Platform> IndexDevice<X> {
    /// GRANT_COPY: carries out all segments, 16 operations in a hypercall. What became of each is
    /// its status.
    ///
    /// # Errors
    /// EINVAL, with nothing copied, if a segment has no grant on either side, or leaves its granted
    /// page or its local memory; else the hypercall's own: segments that it didn't come to have
    /// the status general_error.
    pub fn grant_copy(&self, segments: &mut [Segment<'_, X>]) -> Result<(), Error> {
        self.service().grant_copy(segments)
    }
}

impl<X: Platform> GntDev<X> {
    fn grant_copy(&self, segments: &mut [Segment<'_, X>]) -> Result<(), Error> {
        segments.iter().try_for_each(Segment::check)?;
        segments.iter_mut().for_each(|segment| segment.status = GrantStatus::GENERAL_ERROR);
        let mut rest = segments;
        while !rest.is_empty() {
            let done = self.copy_some(rest)?;
            rest = &mut rest[done..];
        }
        Ok(())
    }

    /// One hypercall's worth; how many segments that was.
    fn copy_some(&self, segments: &mut [Segment<'_, X>]) -> Result<usize, Error> {
        let mut batch = Batch::new();
        // By segment: the number of operations up to its end.
        let mut ends = [0; BATCH];
        let mut taken = 0;
        for segment in &*segments {
            if taken == BATCH || batch.len() + segment.parts().count() > BATCH {
                break;
            }
            for (skip, len) in segment.parts() {
                let source = segment.source.end(skip).ok_or(OUTSIDE)?;
                let dest = segment.dest.end(skip).ok_or(OUTSIDE)?;
                batch.push(source, dest, len as u16);
            }
            ends[taken] = batch.len();
            taken += 1;
        }
        let copied = batch.run(&self.0.xen);
        let mut first = 0;
        for (segment, end) in segments.iter_mut().zip(&ends[..taken]) {
            let statuses = (first..*end).map(|entry| batch.status(entry));
            let failed = statuses.into_iter().find(|status| *status != GrantStatus::OKAY);
            segment.status = failed.unwrap_or(GrantStatus::OKAY);
            first = *end;
        }
        copied.map(|()| taken)
    }
}

const OUTSIDE: Error = Error::Local(Errno::EINVAL, "outside the local memory of a segment");
