// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRANT_COPY as an ioctl: segments, and the memory they name, by address.
//!
//! A file's addresses are of pages that other domains own, and Xen accepts only the caller's own
//! pages as the local side of a copy. So the bytes go through a page of our own, one segment at a
//! time.

use alloc::vec::Vec;
use core::mem::offset_of;

use xen_sys::grant_table::{Gntcopy, GrantStatus};
use xen_sys::linux::gntdev::{GntdevGrantCopyForeign, GntdevGrantCopySegment};

use super::GntdevFile;
use super::arg::Arg;
use drivers::buffer::Buffer;
use drivers::gntdev::{CopyEnd, Segment};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, ClaimedGrant, Errno, Error, Pages};

const SIZE: usize = size_of::<GntdevGrantCopySegment>();

/// One side of a segment.
#[derive(Clone, Copy, Debug)]
enum Side {
    Grant(ClaimedGrant, u16),
    Memory(usize),
}

/// A segment, decoded.
#[derive(Clone, Copy, Debug)]
struct Copy {
    source: Side,
    dest: Side,
    len: u16,
}

/// Carries out `count` segments at address `at`, and writes each one's status there.
///
/// # Errors
/// EFAULT for segments or memory outside what the file's mmap returned, EINVAL for a segment
/// without a grant or one that leaves its grant's page, or ENOMEM; then nothing is copied. Else the
/// hypercall's own error, at the first segment for which it fails.
pub(super) fn grant_copy<X: Platform>(
    file: &GntdevFile<X>,
    at: usize,
    count: u32,
) -> Result<(), Error> {
    // Check first that the statuses can be written, too.
    let device = file.device()?;
    device.check(at, (count as usize).saturating_mul(SIZE), Access::ReadWrite)?;
    let mut copies = Vec::new();
    copies.try_reserve_exact(count as usize).map_err(|_| Error::NO_MEMORY)?;
    for number in 0..count as usize {
        // Fetch each segment once: the memory is a peer's, which may change it at any time.
        let mut bytes = [0; SIZE];
        file.read(at + number * SIZE, &mut bytes)?;
        let copy = Copy::decode(&Arg::new::<GntdevGrantCopySegment>(&mut bytes)?);
        copy.check(file)?;
        copies.push(copy);
    }
    let page = Buffer::new(&device.service().system(), Pages(1))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(PAGE_SIZE).map_err(|_| Error::NO_MEMORY)?;
    bytes.resize(PAGE_SIZE, 0);
    for (number, copy) in copies.iter().enumerate() {
        let status = copy.run(file, &page, &mut bytes[..copy.len.into()])?;
        let place = at + number * SIZE + offset_of!(GntdevGrantCopySegment, status);
        file.write(place, &status.0.to_ne_bytes())?;
    }
    Ok(())
}

impl Copy {
    fn decode(arg: &Arg<'_>) -> Self {
        let flags = Gntcopy::from_bits_retain(arg.u16(offset_of!(GntdevGrantCopySegment, flags)));
        let side = |at: usize, flag: Gntcopy| {
            if !flags.contains(flag) {
                return Side::Memory(arg.u64(at) as usize);
            }
            let domid = arg.u16(at + offset_of!(GntdevGrantCopyForeign, domid));
            let gref = arg.u32(at + offset_of!(GntdevGrantCopyForeign, ref_));
            Side::Grant(
                ClaimedGrant::new(domid, gref),
                arg.u16(at + offset_of!(GntdevGrantCopyForeign, offset)),
            )
        };
        Self {
            source: side(offset_of!(GntdevGrantCopySegment, source), Gntcopy::SOURCE_GREF),
            dest: side(offset_of!(GntdevGrantCopySegment, dest), Gntcopy::DEST_GREF),
            len: arg.u16(offset_of!(GntdevGrantCopySegment, len)),
        }
    }

    fn check<X: Platform>(self, file: &GntdevFile<X>) -> Result<(), Error> {
        let len = usize::from(self.len);
        if let (Side::Memory(_), Side::Memory(_)) = (self.source, self.dest) {
            return Err(Error::Local(Errno::EINVAL, &"neither side of a segment is a grant"));
        }
        for side in [self.source, self.dest] {
            if matches!(side, Side::Grant(_, offset) if usize::from(offset) + len > PAGE_SIZE) {
                return Err(Error::Local(Errno::EINVAL, &"a segment leaves its granted page"));
            }
        }
        for (side, access) in [(self.source, Access::ReadOnly), (self.dest, Access::ReadWrite)] {
            if let Side::Memory(addr) = side {
                file.mapped()?.check(addr, len, access)?;
            }
        }
        Ok(())
    }

    /// Copies through `page`. Returns Xen's status.
    fn run<X: Platform>(
        self,
        file: &GntdevFile<X>,
        page: &Buffer<X>,
        bytes: &mut [u8],
    ) -> Result<GrantStatus, Error> {
        if let Side::Memory(addr) = self.source {
            file.read(addr, bytes)?;
            page.write(0, bytes)?;
        }
        let end = |side| match side {
            Side::Grant(grant, offset) => CopyEnd::Grant(grant, offset),
            Side::Memory(_) => CopyEnd::Buffer(page, 0),
        };
        let mut segment = [Segment::new(end(self.source), end(self.dest), self.len)];
        file.mapped()?.grant_copy(&mut segment)?;
        if let Side::Memory(addr) = self.dest
            && segment[0].status == GrantStatus::OKAY
        {
            page.read(0, bytes)?;
            file.write(addr, bytes)?;
        }
        Ok(segment[0].status)
    }
}
