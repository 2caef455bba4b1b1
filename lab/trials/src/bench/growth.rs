// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures costs with many live grants: the most expensive single calls on the way there, and what
//! should not depend on their number.

use alloc::vec::Vec;

use drivers::gntdev::ReadWrite;
use drivers::memory::Platform;
use drivers::{Access, ClaimedGrant, Pages};
use tasks::verdict::Why;

use super::meter::{Least, Meter};
use super::{CALLS, Rows};

/// Pages per call.
const STEP: u32 = 32;
/// The number of handles open at the same time.
const HANDLES: usize = 1000;

/// The most expensive of several calls.
#[derive(Clone, Copy)]
struct Most(Least);

impl Most {
    const NONE: Self = Self(Least { ticks: 0, ..Least::NONE });

    fn add(&mut self, one: Least) {
        let calls = self.0.calls + 1;
        if one.ticks > self.0.ticks {
            self.0 = one;
        }
        self.0.calls = calls;
    }
}

/// The most expensive usual call, and the most expensive one in which Xen's table or the page
/// tables grow, recognised by its hypercalls.
struct Pair {
    usual: Most,
    grows: Most,
}

impl Pair {
    const NONE: Self = Self { usual: Most::NONE, grows: Most::NONE };

    fn add(&mut self, one: Least, hypercalls: u64) {
        if one.hypercalls > hypercalls { self.grows.add(one) } else { self.usual.add(one) }
    }
}

/// The usual cost at a given number of live grants: the minimum of the last calls before it.
struct At {
    step: usize,
    ops: [&'static str; 3],
    least: [Least; 3],
}

impl At {
    const fn new(live: u32, ops: [&'static str; 3]) -> Self {
        Self { step: (live / STEP) as usize, ops, least: [Least::NONE; 3] }
    }

    fn take(&mut self, step: usize, now: [Least; 3]) {
        if (self.step - CALLS as usize..self.step).contains(&step) {
            self.least.iter_mut().zip(now).for_each(|(least, now)| least.add(now));
        }
    }
}

const GROWTH: [At; 4] = [
    At::new(256, ["share-live-256", "reserve-live-256", "map-live-256"]),
    At::new(1024, ["share-live-1024", "reserve-live-1024", "map-live-1024"]),
    At::new(4096, ["share-live-4096", "reserve-live-4096", "map-live-4096"]),
    At::new(9984, ["share-live-9984", "reserve-live-9984", "map-live-9984"]),
];

/// Measures all of them, until `live` pages are shared and mapped.
pub fn measure<X: Platform>(meter: &Meter<'_, X>, live: u32, rows: &mut Rows) -> Result<(), Why> {
    let services = meter.services();
    let (granter, mapper) = (services.gntalloc.open(), services.gntdev.open()?);
    let steps = (live / STEP) as usize;
    let (mut exports, mut mappings) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
    let [mut share, mut reserve, mut map] = [const { Pair::NONE }; 3];
    let mut growth = GROWTH;
    let heap = (meter.tools.heap)();
    for step in 0..steps {
        let mut one = Least::NONE;
        let alloc = || granter.alloc(services.domid, Pages(STEP), Access::ReadWrite);
        let export = meter.time(&mut one, alloc)?;
        share.add(one, 0);
        let mut now = [one; 3];
        let grants: Vec<ClaimedGrant> = export.grefs().map(|gref| meter.claim(gref)).collect();
        one = Least::NONE;
        let reserved = meter.time(&mut one, || mapper.reserve(&grants))?;
        reserve.add(one, 0);
        now[1] = one;
        one = Least::NONE;
        mappings.push(meter.time(&mut one, || reserved.map::<ReadWrite>())?);
        map.add(one, 1);
        now[2] = one;
        exports.push(export);
        growth.iter_mut().for_each(|at| at.take(step, now));
    }
    for at in &growth {
        for (op, least) in at.ops.into_iter().zip(at.least) {
            // There are no calls if `live` is smaller.
            if least.calls > 0 {
                rows.add(op, STEP, least, None)?;
            }
        }
    }
    let heap = (meter.tools.heap)() - heap;
    rows.add("share-dearest", STEP, share.usual.0, None)?;
    rows.add("reserve-dearest", STEP, reserve.usual.0, None)?;
    rows.add("map-dearest", STEP, map.usual.0, None)?;
    rows.add("grow-table", 1, share.grows.0, None)?;
    rows.add("grow-window", 1, reserve.grows.0, None)?;
    // Bytes, not instructions.
    let bytes = Least { calls: 1, ticks: heap as u64, ..Least::NONE };
    rows.add("heap-bytes", steps as u32 * STEP, bytes, None)?;
    handles(meter, rows)?;
    mappings.clear();
    exports.into_iter().try_for_each(|export| export.end())?;
    Ok(())
}

/// Measures opening and closing a handle while others are open and hold much.
fn handles<X: Platform>(meter: &Meter<'_, X>, rows: &mut Rows) -> Result<(), Why> {
    let services = meter.services();
    let [mut open, mut close] = [Least::NONE; 2];
    for _ in 0..CALLS {
        let handle = meter.time(&mut open, || services.gntalloc.open_indexed())?;
        meter.time(&mut close, || drop(handle));
    }
    rows.add("open-empty", 1, open, None)?;
    rows.add("close-empty", 1, close, None)?;
    let opened: Vec<_> = (1..HANDLES).map(|_| services.gntdev.open()).collect::<Result<_, _>>()?;
    let indexed: Vec<_> =
        (1..HANDLES).map(|_| services.gntdev.open_indexed()).collect::<Result<_, _>>()?;
    let [mut open, mut close, mut open_indexed, mut close_indexed] = [Least::NONE; 4];
    for _ in 0..CALLS {
        let handle = meter.time(&mut open, || services.gntdev.open())?;
        meter.time(&mut close, || drop(handle));
        let handle = meter.time(&mut open_indexed, || services.gntdev.open_indexed())?;
        meter.time(&mut close_indexed, || drop(handle));
    }
    drop((opened, indexed));
    rows.add("open-1000th", 1, open, None)?;
    rows.add("close-1000th", 1, close, None)?;
    rows.add("open-1000th-indexed", 1, open_indexed, None)?;
    rows.add("close-1000th-indexed", 1, close_indexed, None)
}
