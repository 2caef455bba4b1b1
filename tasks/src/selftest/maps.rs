//! Checks from the mapper's side.

use drivers::gntdev::{MapAccess, Mapping, ReadOnly, ReadWrite, Reservation};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, ForeignGrant, GrantRef, status_name};

use super::rig::{Rig, Verdict, Why, equal};
use crate::pattern::{self, SplitMix64};

/// A domain that nobody has: below the reserved numbers, and never reached by counting up.
const ABSENT: u16 = 0x7fe0;
/// A reference beyond every table.
const BEYOND: GrantRef = GrantRef(0x7fff_ffff);
/// Writable mappings that Xen counts for one reference.
const MOST: usize = 128;

pub(super) fn one_call<X: Platform>(rig: &Rig<'_, X>) -> Verdict {
    for pages in [1, 33, 64] {
        let export = rig.share(pages, Access::ReadWrite)?;
        let reservation = rig.reserve(&export)?;
        let (mapping, calls) = rig.count(Call::GnttabMap, || reservation.map::<ReadWrite>());
        equal("the number of hypercalls for mapping", calls, [1, 1])?;
        let mapping = mapping?;
        let (unmapped, calls) = rig.count(Call::GnttabUnmap, || mapping.unmap());
        equal("the number of hypercalls for unmapping", calls, [1, 1])?;
        unmapped?;
        export.end()?;
    }
    Ok(())
}

pub(super) fn pattern<X: Platform>(rig: &Rig<'_, X>) -> Verdict {
    let export = rig.share(64, Access::ReadWrite)?;
    let mapping = rig.map::<ReadWrite>(&export)?;
    let crc = carry(&export, &mapping, 42)?;
    equal("the CRC-32 of seed 42", crc, 0x9553_9f90)?;
    carry(&mapping, &export, 43)?;
    mapping.unmap()?;
    Ok(export.end()?)
}

/// Fills one end and sums the other; the CRC-32 that both have.
fn carry(from: &dyn SharedMut, to: &dyn Shared, seed: u64) -> Result<u32, Why> {
    let pages = from.size() / PAGE_SIZE;
    let (mut stream, mut written, mut read) =
        (SplitMix64::new(seed), pattern::crc(), pattern::crc());
    pattern::fill(from, 0..pages, &mut stream, &mut written)?;
    pattern::sum(to, 0..pages, &mut read)?;
    let (written, read) = (written.finalize(), read.finalize());
    equal("the CRC-32 of what is read", read, written)?;
    Ok(read)
}

pub(super) fn read_only<X: Platform>(rig: &Rig<'_, X>) -> Verdict {
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let export = rig.share(1, access)?;
        export.write(100, b"look")?;
        let mapping = rig.map::<ReadOnly>(&export)?;
        equal("whether a byte was stored", mapping.probe_write(100, b'c')?, false)?;
        let mut bytes = [0; 4];
        mapping.read(100, &mut bytes)?;
        equal("what is read", &bytes, b"look")?;
        mapping.unmap()?;
        export.end()?;
    }
    Ok(())
}

pub(super) fn writable_refused<X: Platform>(rig: &Rig<'_, X>) -> Verdict {
    let export = rig.share(2, Access::ReadOnly)?;
    let reservation = refused::<ReadWrite, X>(rig.reserve(&export)?, "general_error")?;
    equal("whether all pages are idle", export.is_idle(), true)?;
    // What was refused can still be mapped as it's allowed.
    let mapping = reservation.map::<ReadOnly>()?;
    mapping.unmap()?;
    Ok(export.end()?)
}

pub(super) fn beyond_the_table<X: Platform>(rig: &Rig<'_, X>) -> Verdict {
    let domid = rig.services.domid.get();
    let grant = ForeignGrant { domid, gref: BEYOND };
    refused::<ReadOnly, X>(rig.gntdev.insert(&[grant])?, "bad_gntref").map(drop)
}

pub(super) fn absent_domain<X: Platform>(rig: &Rig<'_, X>) -> Verdict {
    let grant = ForeignGrant { domid: ABSENT, gref: GrantRef(8) };
    refused::<ReadOnly, X>(rig.gntdev.insert(&[grant])?, "bad_domain").map(drop)
}

pub(super) fn all_or_nothing<X: Platform>(rig: &Rig<'_, X>) -> Verdict {
    let export = rig.share(8, Access::ReadWrite)?;
    for bad in [0, 5, 7] {
        let mut grants = rig.grants(&export)?;
        grants[bad].gref = BEYOND;
        let mapped = rig.gntdev.usage().mapped;
        let reservation = refused::<ReadWrite, X>(rig.gntdev.insert(&grants)?, "bad_gntref")?;
        equal("whether all pages are idle", export.is_idle(), true)?;
        equal("the number of mapped pages", rig.gntdev.usage().mapped, mapped)?;
        let blamed = reservation.statuses().position(|(_, status)| status_name(status) != "okay");
        equal("the reference that is to blame", blamed, Some(bad))?;
    }
    Ok(export.end()?)
}

pub(super) fn most_mappings<X: Platform>(rig: &Rig<'_, X>) -> Verdict {
    let export = rig.share(1, Access::ReadWrite)?;
    let grant = rig.grant(&export, 0)?;
    let mapping = rig.gntdev.insert(&[grant; MOST])?.map::<ReadWrite>()?;
    // They all show the same page.
    mapping.write(0, b"one page")?;
    let mut bytes = [0; 8];
    mapping.read((MOST - 1) * PAGE_SIZE, &mut bytes)?;
    equal("what the last mapping shows", &bytes, b"one page")?;
    refused::<ReadWrite, X>(rig.gntdev.insert(&[grant])?, "general_error")?;
    mapping.unmap()?;
    Ok(export.end()?)
}

pub(super) fn again<X: Platform>(rig: &Rig<'_, X>) -> Verdict {
    let export = rig.share(2, Access::ReadWrite)?;
    let mapping: Mapping<X, ReadWrite> = rig.map(&export)?;
    equal("whether a byte was stored", mapping.probe_write(PAGE_SIZE, b'w')?, true)?;
    let Some(reservation) = mapping.unmap()? else {
        return Err(Why::new(format_args!("its reservation did not come back")));
    };
    let mapping = reservation.map::<ReadOnly>()?;
    let mut byte = [0];
    mapping.read(PAGE_SIZE, &mut byte)?;
    equal("what is read", byte, *b"w")?;
    mapping.unmap()?;
    Ok(export.end()?)
}

/// Maps what Xen has to refuse with `status`; the reservation comes back.
fn refused<A: MapAccess, X: Platform>(
    reservation: Reservation<X>,
    status: &str,
) -> Result<Reservation<X>, Why> {
    match reservation.map::<A>() {
        Ok(_) => Err(Why::new(format_args!("it was mapped"))),
        Err(failed) => {
            equal("the status", failed.error.status().map(status_name), Some(status))?;
            Ok(failed.value)
        }
    }
}
