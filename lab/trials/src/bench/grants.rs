// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures a grant's life (shared, reserved, mapped, unmapped, removed, ended), with many pages
//! per call, or one.

use alloc::vec::Vec;
use core::array;

use drivers::gntalloc::{Device, Export};
use drivers::gntdev::{Failed, MapAccess, ReadOnly, ReadWrite};
use drivers::memory::Platform;
use drivers::{Access, ClaimedGrant, Pages};
use tasks::verdict::Why;

use super::meter::{Least, Meter};
use super::prepared::{self, Prepared};
use super::{CALLS, Rows};

/// Measures one call of each kind, for `n` pages.
pub fn measure<X: Platform>(
    meter: &Meter<'_, X>,
    n: u32,
    prepared: &mut Prepared<'_, X>,
    rows: &mut Rows,
) -> Result<(), Why> {
    let services = meter.services();
    let (granter, mapper) = (services.gntalloc.open(), services.gntdev.open()?);
    let [mut share, mut clean, mut end, mut reserve, mut remove] = array::from_fn(|_| Least::NONE);
    let [mut map, mut unmap, mut map_ro, mut unmap_ro] = array::from_fn(|_| Least::NONE);
    let [mut xen_map, mut xen_unmap, mut xen_map_ro, mut xen_unmap_ro] =
        array::from_fn(|_| Least::NONE);
    // One call more than counts: the first one makes page tables and room.
    for call in 0..=CALLS {
        // Clean frames are allocated first; once all free frames are soiled, there are none.
        prepared::soil(meter.tools.xen, services.system.frames().free);
        let export = meter.time(&mut share, || alloc(meter, &granter, n))?;
        meter.time(&mut end, || export.end())?;
        let export = meter.time(&mut clean, || alloc(meter, &granter, n))?;
        let grants: Vec<ClaimedGrant> = export.grefs().map(|gref| meter.claim(gref)).collect();
        for (read_only, map, unmap) in
            [(false, &mut xen_map, &mut xen_unmap), (true, &mut xen_map_ro, &mut xen_unmap_ro)]
        {
            prepared.fill(&grants, read_only);
            meter.time(map, || prepared.map(n));
            prepared.fill_unmaps(n)?;
            meter.time(unmap, || prepared.unmap(n));
        }
        let reserved = meter.time(&mut reserve, || mapper.reserve(&grants))?;
        let mapping =
            meter.time(&mut map, || reserved.map::<ReadWrite>()).map_err(|failed| failed.error)?;
        let reserved = meter.time(&mut unmap, || mapping.unmap())?;
        let mapping =
            meter.time(&mut map_ro, || reserved.map::<ReadOnly>()).map_err(|f| f.error)?;
        let reserved = meter.time(&mut unmap_ro, || mapping.unmap())?;
        meter.time(&mut remove, || drop(reserved));
        meter.time(&mut end, || export.end())?;
        if call == 0 {
            // The first call wasn't warm.
            for least in [
                &mut share,
                &mut clean,
                &mut end,
                &mut reserve,
                &mut remove,
                &mut map,
                &mut unmap,
                &mut map_ro,
                &mut unmap_ro,
                &mut xen_map,
                &mut xen_unmap,
                &mut xen_map_ro,
                &mut xen_unmap_ro,
            ] {
                *least = Least::NONE;
            }
        }
    }
    rows.add("share", n, share, None)?;
    rows.add("share-clean", n, clean, None)?;
    rows.add("end", n, end, None)?;
    rows.add("reserve", n, reserve, None)?;
    rows.add("map", n, map, Some(xen_map.ticks))?;
    rows.add("unmap", n, unmap, Some(xen_unmap.ticks))?;
    rows.add("map-ro", n, map_ro, Some(xen_map_ro.ticks))?;
    rows.add("unmap-ro", n, unmap_ro, Some(xen_unmap_ro.ticks))?;
    rows.add("remove", n, remove, None)
}

fn alloc<X: Platform>(
    meter: &Meter<'_, X>,
    granter: &Device<X>,
    n: u32,
) -> Result<Export<X>, drivers::Error> {
    granter.alloc(meter.services().domid, Pages(n), Access::ReadWrite)
}

/// Measures `n` calls for one page each.
pub fn measure_single<X: Platform>(
    meter: &Meter<'_, X>,
    n: u32,
    rows: &mut Rows,
) -> Result<(), Why> {
    let (granter, mapper) = (meter.services().gntalloc.open(), meter.services().gntdev.open()?);
    let (mut map, mut unmap) = (Least::NONE, Least::NONE);
    let export = alloc(meter, &granter, n)?;
    let reserved = export.grefs().map(|gref| mapper.reserve(&[meter.claim(gref)]));
    let mut reserved: Vec<_> = reserved.collect::<Result<_, _>>()?;
    let mut mapped = Vec::with_capacity(reserved.len());
    for _ in 0..CALLS {
        meter.time(&mut map, || map_all::<X, ReadWrite>(&mut reserved, &mut mapped))?;
        meter.time(&mut unmap, || {
            mapped.drain(..).try_for_each(|mapping| {
                reserved.push(mapping.unmap()?);
                Ok::<_, drivers::Error>(())
            })
        })?;
    }
    drop(reserved);
    export.end()?;
    rows.add("map-single", n, map, None)?;
    rows.add("unmap-single", n, unmap, None)
}

type Reservations<X> = Vec<drivers::gntdev::Reservation<X>>;

fn map_all<X: Platform, A: MapAccess>(
    reserved: &mut Reservations<X>,
    mapped: &mut Vec<drivers::gntdev::Mapping<X, A>>,
) -> Result<(), drivers::Error> {
    reserved.drain(..).try_for_each(|reservation| {
        mapped.push(reservation.map().map_err(|failed: Failed<_>| failed.error)?);
        Ok(())
    })
}
