//! What it costs when much is live: the dearest single calls on the way there, and what should not
//! depend on it.

use alloc::vec::Vec;

use drivers::gntdev::ReadWrite;
use drivers::memory::Platform;
use drivers::{Access, ClaimedGrant, Pages};
use tasks::verdict::Why;

use super::meter::{Least, Meter};
use super::{CALLS, Rows};

/// Pages of a call.
const STEP: u32 = 32;
/// Handles that are open at once.
const HANDLES: usize = 1000;

/// The dearest of some calls.
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

/// Dearest calls: usual ones, and those in which Xen's table or the page tables grow, which are
/// told by their hypercalls.
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

/// All of them, until `live` pages are shared and mapped.
pub fn measure<X: Platform>(meter: &Meter<'_, X>, live: u32, rows: &mut Rows) -> Result<(), Why> {
    let services = meter.services();
    let (granter, mapper) = (services.gntalloc.open(), services.gntdev.open()?);
    let steps = (live / STEP) as usize;
    let (mut exports, mut mappings) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
    let [mut share, mut reserve, mut map] = [const { Pair::NONE }; 3];
    let heap = (meter.tools.heap)();
    for _ in 0..steps {
        let mut one = Least::NONE;
        let alloc = || granter.alloc(services.domid, Pages(STEP), Access::ReadWrite);
        let export = meter.time(&mut one, alloc)?;
        share.add(one, 0);
        let grants: Vec<ClaimedGrant> = export.grefs().map(|gref| meter.claim(gref)).collect();
        one = Least::NONE;
        let reserved = meter.time(&mut one, || mapper.reserve(&grants))?;
        reserve.add(one, 0);
        one = Least::NONE;
        mappings.push(meter.time(&mut one, || reserved.map::<ReadWrite>())?);
        map.add(one, 1);
        exports.push(export);
    }
    let heap = (meter.tools.heap)() - heap;
    rows.add("share-dearest", STEP, share.usual.0, None)?;
    rows.add("reserve-dearest", STEP, reserve.usual.0, None)?;
    rows.add("map-dearest", STEP, map.usual.0, None)?;
    rows.add("grow-table", 1, share.grows.0, None)?;
    rows.add("grow-window", 1, reserve.grows.0, None)?;
    // Not instructions: bytes.
    let bytes = Least { calls: 1, ticks: heap as u64, ..Least::NONE };
    rows.add("heap-bytes", steps as u32 * STEP, bytes, None)?;
    handles(meter, rows)?;
    mappings.clear();
    exports.into_iter().try_for_each(|export| export.end())?;
    Ok(())
}

/// A handle that is opened and closed while others are open and hold much.
fn handles<X: Platform>(meter: &Meter<'_, X>, rows: &mut Rows) -> Result<(), Why> {
    let services = meter.services();
    let [mut open, mut close] = [Least::NONE; 2];
    for _ in 0..CALLS {
        let handle = meter.time(&mut open, || services.gntalloc.open_indexed())?;
        meter.time(&mut close, || drop(handle));
    }
    rows.add("open-gntalloc", 1, open, None)?;
    rows.add("close-gntalloc", 1, close, None)?;
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
