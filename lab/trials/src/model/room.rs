// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures what this Xen has room for, by using all of it; and makes beforehand what is made only
//! once.

use alloc::vec;
use alloc::vec::Vec;

use ::model::{LoopBack, Room};
use drivers::gntdev::{Mapping, ReadWrite};
use drivers::memory::Platform;
use drivers::{Access, Errno, GrantRef, GrantStatus, Limits, Pages, Services};

use tasks::verdict::Why;

/// More than one grant frame or one maptrack frame has room for.
const MORE: u32 = 512;
/// The most indexed devices that are open at a time.
const DEVICES: u32 = 16;

/// Uses up the grant table and the mappings, and gives everything back. Returns how many there were
/// of each.
pub(super) fn measure<X: Platform>(services: &Services<X>) -> Result<Room, Why> {
    services.gntalloc.set_limit(2 * MORE);
    services.gntdev.set_limit(MORE)?;
    let counts = count(services);
    services.gntalloc.set_limit(Limits::default().gntalloc);
    services.gntdev.set_limit(Limits::default().gntdev)?;
    let (entries, mappings) = counts?;
    let memory = services.system.frames().free as usize;
    let translated = services.system.is_translated();
    Ok(Room { memory, entries, mappings, indices: LoopBack::<X>::INDICES, translated })
}

fn count<X: Platform>(services: &Services<X>) -> Result<(usize, usize), Why> {
    let (gntalloc, gntdev) = (services.gntalloc.open(), services.gntdev.open()?);
    let mut exports = Vec::new();
    let full = loop {
        match gntalloc.alloc(services.domid, Pages(1), Access::ReadWrite) {
            Ok(_) if exports.len() >= MORE as usize => return Err(too_much("grant entries")),
            Ok(export) => exports.push(export),
            Err(error) => break error,
        }
    };
    if full.errno() != Errno::ENOSPC {
        return Err(full.into());
    }
    let mut mappings: Vec<Mapping<X, ReadWrite>> = Vec::new();
    for gref in exports.iter().flat_map(|export| export.grefs()) {
        match gntdev.reserve(&[services.domid.grant(gref)])?.map() {
            Ok(mapping) => mappings.push(mapping),
            Err(failed) if failed.error.status() == Some(GrantStatus::NO_SPACE) => {
                return Ok((exports.len(), mappings.len()));
            }
            Err(failed) => return Err(failed.into()),
        }
    }
    Err(too_much("mappings"))
}

fn too_much(what: &str) -> Why {
    Why::new(format_args!(
        "there are more than {MORE} {what}; boot Xen with gnttab_max_frames=1 \
         gnttab_max_maptrack_frames=1"
    ))
}

/// Makes the page tables for all mappings of a run. They are never freed.
pub(super) fn settle<X: Platform>(services: &Services<X>) -> Result<(), Why> {
    services.gntdev.set_limit(LoopBack::<X>::INDICES)?;
    let settled = reserve_all(services);
    services.gntdev.set_limit(Limits::default().gntdev)?;
    settled
}

/// Reserves as much as all devices of a run together ever do, and releases it.
fn reserve_all<X: Platform>(services: &Services<X>) -> Result<(), Why> {
    // Reserving doesn't involve Xen: any gref will do.
    let claims = vec![services.domid.grant(GrantRef(0)); LoopBack::<X>::INDICES as usize];
    // Typed devices share one range of addresses; each indexed device has its own.
    let _typed = services.gntdev.open()?.reserve(&claims)?;
    let mut indexed = Vec::new();
    for _ in 0..DEVICES {
        let device = services.gntdev.open_indexed()?;
        device.map_grant_ref(&claims)?;
        indexed.push(device);
    }
    Ok(())
}
