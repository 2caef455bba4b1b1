// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures access to words and bytes of a mapping and of an export.
//!
//! `read-8` is the fixed cost of a read plus one move.

use alloc::vec::Vec;
use core::hint::black_box;

use drivers::gntdev::ReadWrite;
use drivers::memory::Platform;
use drivers::shared::SharedMut;
use drivers::{Access, ClaimedGrant, Pages};
use tasks::verdict::Why;

use super::Rows;
use super::meter::Meter;

/// The pages of the export and of its mapping.
const PAGES: Pages = Pages(16);

const LENGTHS: [usize; 3] = [8, 64, 4096];

/// The rows' names: for words read and written, then for bytes of each length.
struct Names {
    load: &'static str,
    store: &'static str,
    read: [&'static str; 3],
    write: [&'static str; 3],
}

const MAPPING: Names = Names {
    load: "read-word",
    store: "write-word",
    read: ["read-8", "read-64", "read-4096"],
    write: ["write-8", "write-64", "write-4096"],
};
const EXPORT: Names = Names {
    load: "export-read-word",
    store: "export-write-word",
    read: ["export-read-8", "export-read-64", "export-read-4096"],
    write: ["export-write-8", "export-write-64", "export-write-4096"],
};

/// Measures all of them.
pub fn measure<X: Platform>(meter: &Meter<'_, X>, rows: &mut Rows) -> Result<(), Why> {
    let services = meter.services();
    let mapper = services.gntdev.open()?;
    let export = services.gntalloc.open().alloc(services.domid, PAGES, Access::ReadWrite)?;
    let grants: Vec<ClaimedGrant> = export.grefs().map(|gref| meter.claim(gref)).collect();
    let mapping = mapper.reserve(&grants)?.map::<ReadWrite>()?;
    side(meter, &mapping, &MAPPING, rows)?;
    side(meter, &export, &EXPORT, rows)?;
    drop(mapping);
    export.end()?;
    Ok(())
}

fn side<X: Platform>(
    meter: &Meter<'_, X>,
    of: &impl SharedMut,
    names: &Names,
    rows: &mut Rows,
) -> Result<(), Why> {
    let word = || of.load_u32(black_box(4)).map(|word| _ = black_box(word));
    rows.add(names.load, 1, meter.each(word)?, None)?;
    let word = || of.store_u32(black_box(4), black_box(7));
    rows.add(names.store, 1, meter.each(word)?, None)?;
    let mut bytes = [0; 4096];
    for (len, (read, write)) in LENGTHS.into_iter().zip(names.read.iter().zip(&names.write)) {
        let (at, bytes) = (if len < 4096 { 64 } else { 0 }, &mut bytes[..len]);
        rows.add(read, 1, meter.each(|| of.read(black_box(at), bytes))?, None)?;
        rows.add(write, 1, meter.each(|| of.write(black_box(at), bytes))?, None)?;
    }
    Ok(())
}
