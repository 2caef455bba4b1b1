// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures grant copies: `n` segments in a call, each from a different page, into one page of our
//! own.

use alloc::vec::Vec;

use drivers::buffer::Buffer;
use drivers::gntdev::{CopyEnd, Segment};
use drivers::memory::Platform;
use drivers::{Access, ClaimedGrant, Pages};
use tasks::verdict::Why;

use super::meter::{Least, Meter};
use super::prepared::Prepared;
use super::{CALLS, Rows};

/// Measures copies of a few bytes and of a page.
pub fn measure<X: Platform>(
    meter: &Meter<'_, X>,
    n: u32,
    prepared: &mut Prepared<'_, X>,
    rows: &mut Rows,
) -> Result<(), Why> {
    let services = meter.services();
    let mapper = services.gntdev.open()?;
    let pages = Pages(n);
    let export = services.gntalloc.open().alloc(services.domid, pages, Access::ReadWrite)?;
    let local = services.gntalloc.open().alloc(services.domid, Pages(1), Access::ReadOnly)?;
    let grants: Vec<ClaimedGrant> = export.grefs().map(|gref| meter.claim(gref)).collect();
    let buffer = Buffer::new(&services.system, Pages(1))?;
    for (op, len, dest) in [
        ("copy-8", 8, CopyEnd::Buffer(&buffer, 0)),
        ("copy-8-export", 8, CopyEnd::Export(&local, 0)),
        ("copy-4096", 4096, CopyEnd::Buffer(&buffer, 0)),
        ("copy-4096-export", 4096, CopyEnd::Export(&local, 0)),
    ] {
        let (mut ours, mut theirs) = (Least::NONE, Least::NONE);
        let segments =
            grants.iter().map(|grant| Segment::new(CopyEnd::Grant(*grant, 0), dest, len));
        let mut segments: Vec<_> = segments.collect();
        prepared.fill_copies(&grants, len);
        for _ in 0..CALLS {
            meter.time(&mut theirs, || prepared.copy(n));
            meter.time(&mut ours, || mapper.grant_copy(&mut segments))?;
        }
        rows.add(op, n, ours, Some(theirs.ticks))?;
    }
    drop(buffer);
    local.end()?;
    export.end()?;
    Ok(())
}
