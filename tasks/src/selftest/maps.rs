// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks from the mapper's side.

use drivers::gntdev::{MapAccess, Mapping, ReadOnly, ReadWrite, Reservation};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, ClaimedGrant, Errno, GrantRef, status_name};

use super::fixture::{Fixture, Verdict, Why, same};
use crate::pattern;

/// A domid that no domain has: below the reserved ones, and never reached by counting up.
const ABSENT: u16 = 0x7fe0;
/// A reference beyond every table.
const BEYOND: GrantRef = GrantRef(0x7fff_ffff);
/// Maximum number of writable mappings that Xen allows for one reference.
const MOST: usize = 128;

pub(super) fn one_call<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    for pages in [1, 33, 64] {
        let export = fixture.share(pages, Access::ReadWrite)?;
        let reservation = fixture.reserve(&export)?;
        let (mapping, calls) = fixture.count(Call::GnttabMap, || reservation.map::<ReadWrite>());
        same("the number of hypercalls for mapping", calls, [1, 1])?;
        let mapping = mapping?;
        let (unmapped, calls) = fixture.count(Call::GnttabUnmap, || mapping.unmap());
        same("the number of hypercalls for unmapping", calls, [1, 1])?;
        unmapped?;
        export.end()?;
    }
    Ok(())
}

pub(super) fn own_page<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let export = fixture.share(1, Access::ReadWrite)?;
    export.write(0, b"ours")?;
    let reservation = fixture.reserve(&export)?;
    let (mapped, calls) = fixture.count(Call::GnttabMap, || reservation.map::<ReadWrite>());
    let refused = mapped.err().map(|failed| failed.error.errno());
    same("the answer to a map", refused, Some(Errno::EINVAL))?;
    same("the number of hypercalls", calls, [0, 0])?;
    let mut bytes = [0; 4];
    export.read(0, &mut bytes)?;
    same("what is read", bytes, *b"ours")?;
    Ok(export.end()?)
}

pub(super) fn pattern<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let export = fixture.share(64, Access::ReadWrite)?;
    let mapping = fixture.map::<ReadWrite>(&export)?;
    let crc = carry(&export, &mapping, 42)?;
    same("the CRC-32 of seed 42", crc, 0x9553_9f90)?;
    carry(&mapping, &export, 43)?;
    mapping.unmap()?;
    Ok(export.end()?)
}

/// Fills `from` and sums `to`; returns the CRC-32, which must be the same.
fn carry(from: &dyn SharedMut, to: &dyn Shared, seed: u64) -> Result<u32, Why> {
    let (written, read) = (pattern::fill_all(from, seed)?, pattern::sum_all(to)?);
    same("the CRC-32 of what is read", read, written)?;
    Ok(read)
}

pub(super) fn read_only<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let export = fixture.share(1, access)?;
        export.write(100, b"look")?;
        let mapping = fixture.map::<ReadOnly>(&export)?;
        same("whether a byte was stored", mapping.probe_write(100, b'c')?, false)?;
        let mut bytes = [0; 4];
        mapping.read(100, &mut bytes)?;
        same("what is read", bytes, *b"look")?;
        mapping.unmap()?;
        export.end()?;
    }
    Ok(())
}

pub(super) fn writable_refused<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let export = fixture.share(2, Access::ReadOnly)?;
    let reservation = refused::<ReadWrite, X>(fixture.reserve(&export)?, "general_error")?;
    same("whether all pages are idle", export.is_idle(), true)?;
    // After the refusal, it can still be mapped read-only.
    let mapping = reservation.map::<ReadOnly>()?;
    mapping.unmap()?;
    Ok(export.end()?)
}

pub(super) fn beyond_the_table<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let grant = fixture.services.domid.grant(BEYOND);
    refused::<ReadOnly, X>(fixture.gntdev.reserve(&[grant])?, "bad_gntref").map(drop)
}

pub(super) fn absent_domain<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let grant = ClaimedGrant::new(ABSENT, 8);
    refused::<ReadOnly, X>(fixture.gntdev.reserve(&[grant])?, "bad_domain").map(drop)
}

pub(super) fn all_or_nothing<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let export = fixture.share(8, Access::ReadWrite)?;
    for bad in [0, 5, 7] {
        let mut grants = fixture.grants(&export)?;
        grants.get_mut(bad).into_iter().for_each(|grant| grant.gref = BEYOND);
        let mapped = fixture.services.gntdev.usage().mapped;
        let reservation = refused::<ReadWrite, X>(fixture.gntdev.reserve(&grants)?, "bad_gntref")?;
        same("whether all pages are idle", export.is_idle(), true)?;
        same("the number of mapped pages", fixture.services.gntdev.usage().mapped, mapped)?;
        let blamed = reservation.statuses().position(|(_, status)| status_name(status) != "okay");
        same("the reference that is to blame", blamed, Some(bad))?;
    }
    Ok(export.end()?)
}

pub(super) fn most_mappings<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let export = fixture.share(1, Access::ReadWrite)?;
    let grant = fixture.grant(&export, 0)?;
    let mapping = fixture.gntdev.reserve(&[grant; MOST])?.map::<ReadWrite>()?;
    // They all show the same page.
    mapping.write(0, b"one page")?;
    let mut bytes = [0; 8];
    mapping.read((MOST - 1) * PAGE_SIZE, &mut bytes)?;
    same("what the last mapping shows", bytes, *b"one page")?;
    refused::<ReadWrite, X>(fixture.gntdev.reserve(&[grant])?, "general_error")?;
    mapping.unmap()?;
    Ok(export.end()?)
}

pub(super) fn again<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let export = fixture.share(2, Access::ReadWrite)?;
    let mapping: Mapping<X, ReadWrite> = fixture.map(&export)?;
    same("whether a byte was stored", mapping.probe_write(PAGE_SIZE, b'w')?, true)?;
    let mapping = mapping.unmap()?.map::<ReadOnly>()?;
    let mut byte = [0];
    mapping.read(PAGE_SIZE, &mut byte)?;
    same("what is read", byte, *b"w")?;
    mapping.unmap()?;
    Ok(export.end()?)
}

/// Tries to map what Xen must refuse with `status`; returns the reservation.
fn refused<A: MapAccess, X: Platform>(
    reservation: Reservation<X>,
    status: &str,
) -> Result<Reservation<X>, Why> {
    match reservation.map::<A>() {
        Ok(_) => Err(Why::new(format_args!("it was mapped"))),
        Err(failed) => {
            same("the status", failed.error.status().map(status_name), Some(status))?;
            Ok(failed.value)
        }
    }
}
