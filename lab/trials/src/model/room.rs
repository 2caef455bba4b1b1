//! What this Xen has room for, found out by using all of it; and what has to be made only once.

use alloc::vec::Vec;

use ::model::{LoopBack, Room};
use drivers::gntdev::{Mapping, ReadWrite};
use drivers::memory::Platform;
use drivers::{Access, Errno, ForeignGrant, GrantStatus, Limits, Services};

use tasks::verdict::Why;

/// More than one frame of grant entries has, and of mappings.
const MORE: u32 = 512;
/// Pages of address space that all handles of a run together stay within, and reservations at a time.
const WINDOW: u32 = 16 * 1024;
const HANDLES: usize = 16;

/// Uses up the grant table and the mappings, and gives everything back: how many there were of each.
pub(super) fn measure<X: Platform>(services: &Services<X>) -> Result<Room, Why> {
    services.gntalloc.set_limit(2 * MORE);
    services.gntdev.set_limit(MORE)?;
    let counts = count(services);
    services.gntalloc.set_limit(Limits::default().gntalloc);
    services.gntdev.set_limit(Limits::default().gntdev)?;
    let (entries, mappings) = counts?;
    let memory = services.xen.frames().free as usize;
    Ok(Room { memory, entries, mappings, indices: LoopBack::<X>::INDICES })
}

fn count<X: Platform>(services: &Services<X>) -> Result<(usize, usize), Why> {
    let (gntalloc, gntdev) = (services.gntalloc.open()?, services.gntdev.open()?);
    let mut exports = Vec::new();
    let full = loop {
        match gntalloc.alloc(services.domid, 1, Access::ReadWrite) {
            Ok(_) if exports.len() >= MORE as usize => return Err(too_much("grant entries")),
            Ok(export) => exports.push(export),
            Err(error) => break error,
        }
    };
    if full.errno() != Errno::ENOSPC {
        return Err(full.into());
    }
    let domid = services.domid.get();
    let mut mappings: Vec<Mapping<X, ReadWrite>> = Vec::new();
    for gref in exports.iter().flat_map(|export| export.grefs()) {
        match gntdev.insert(&[ForeignGrant { domid, gref }])?.map() {
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
        "there are more than {MORE} {what}; boot Xen with gnttab_max_frames=1 gnttab_max_maptrack_frames=1"
    ))
}

/// Makes the page tables of mappings, which stay once they are made, and room for reservations.
pub(super) fn settle<X: Platform>(services: &Services<X>) -> Result<(), Why> {
    let none = || Why::new(format_args!("no address space"));
    let mut slots = Vec::new();
    for _ in 0..HANDLES {
        slots.push(services.xen.reserve_slot(WINDOW / HANDLES as u32).ok_or_else(none)?);
    }
    for slot in &slots {
        services.xen.prepare_slot(slot, slot.pages()).map_err(|errno| {
            Why::new(format_args!("no page tables for {WINDOW} pages ({errno})"))
        })?;
    }
    slots.into_iter().for_each(|slot| services.xen.release_slot(slot));
    Ok(())
}
