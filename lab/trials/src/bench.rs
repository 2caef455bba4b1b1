// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each operation costs, in instructions: a guest in dom0's place that grants to itself.
//!
//! Under `-icount shift=0` the time stamp counter counts instructions, Xen's and the guest's. Each
//! figure is the minimum of several warm calls, since one of Xen's timers may interrupt a call.
//! Xen's own share is measured in the same run, by the same hypercalls on prepared arrays
//! (`prepared`).
//!
//! Each row is one line: `bench op=map n=512 calls=7 instr=978.121 xen=966.014 hypercalls=1
//! allocations=0 window=99-100`. `instr` and `xen` are per page (or segment, event, word, call:
//! whatever there are `n` of); `hypercalls` and `allocations` are for the whole call; `window` says between
//! which readings of the clock it was, counted from 1. A failed call ends the run, so there is never
//! a partial table.

mod access;
pub mod between;
pub mod clock;
mod copy;
mod events;
mod faces;
mod grants;
mod growth;
mod loopback;
mod meter;
mod prepared;

use alloc::vec::Vec;
use core::fmt;

use drivers::memory::Platform;
use drivers::{Error, Services};

use self::meter::{Least, Meter};
use tasks::verdict::Why;

/// Pages in a call.
pub const SIZES: &[u32] = &[1, 2, 8, 32, 33, 128, 512, 1024];
/// Pages in a call through the other two faces.
pub const FACES: &[u32] = &[1, 32, 512];
/// How many calls are measured. The minimum counts.
const CALLS: u32 = 7;

/// What to measure with.
pub struct Tools<'a, X: Platform> {
    /// The services to measure.
    pub services: &'a Services<X>,
    /// The Xen below them, to measure its own share.
    pub xen: &'a X,
    /// Reads the time stamp counter.
    pub ticks: fn() -> u64,
    /// Returns the bytes of the heap in use.
    pub heap: &'a dyn Fn() -> usize,
}

impl<X: Platform> fmt::Debug for Tools<'_, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tools")
    }
}

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Pages in a call.
    pub sizes: &'a [u32],
    /// The number of live grants at the end of the rows about growth.
    pub live: u32,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    op: &'static str,
    n: u32,
    ours: Least,
    xen: Option<u64>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { op, n, ours, xen } = self;
        let each = |ticks: u64| Thousandths(ticks * 1000 / u64::from(*n));
        write!(f, "bench op={op} n={n} calls={} instr={} ", ours.calls, each(ours.ticks))?;
        match xen {
            Some(ticks) => write!(f, "xen={} ", each(*ticks))?,
            None => f.write_str("xen=- ")?,
        }
        let Least { hypercalls, allocations, window: [from, to], .. } = ours;
        write!(f, "hypercalls={hypercalls} allocations={allocations} window={from}-{to}")
    }
}

struct Thousandths(u64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// The rows, in the order of measurement.
#[derive(Debug, Default)]
pub struct Rows(Vec<Row>);

impl Rows {
    fn add(&mut self, op: &'static str, n: u32, ours: Least, xen: Option<u64>) -> Result<(), Why> {
        Ok(self.push(Row { op, n, ours, xen })?)
    }

    fn push(&mut self, row: Row) -> Result<(), Error> {
        drivers::list::push(&mut self.0, row)
    }

    /// Passes all rows to `say`, a line each, and then how many there are: `ok bench rows=99`.
    pub fn tell(&self, say: impl Fn(fmt::Arguments<'_>)) {
        self.iter().for_each(|row| say(format_args!("{row}")));
        say(format_args!("ok bench rows={}", self.len()));
    }

    /// Returns all rows.
    pub fn iter(&self) -> impl Iterator<Item = &Row> {
        self.0.iter()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Measures everything.
///
/// # Errors
/// If a call fails: the first one's error.
pub fn run<X: Platform>(tools: Tools<'_, X>, plan: Plan<'_>) -> Result<Rows, Why> {
    let mut rows = Rows::default();
    // Reserve room for all rows now, so that no allocation falls into a measured call.
    rows.0.try_reserve_exact(512).map_err(|_| Error::NO_MEMORY)?;
    tools.services.gntalloc.set_limit(plan.live + 4096);
    let mut prepared = prepared::Prepared::new(tools.xen, largest(plan.sizes))?;
    let meter = Meter::new(tools);
    // The minimum cost of any hypercall with an array.
    let empty = meter.each(|| {
        prepared.unmap(0);
        Ok(())
    })?;
    rows.add("hypercall", 1, empty, None)?;
    for &n in plan.sizes {
        grants::measure(&meter, n, &mut prepared, &mut rows)?;
        grants::measure_single(&meter, n, &mut rows)?;
        copy::measure(&meter, n, &mut prepared, &mut rows)?;
    }
    drop(prepared);
    access::measure(&meter, &mut rows)?;
    events::measure(&meter, &mut rows)?;
    growth::measure(&meter, plan.live, &mut rows)?;
    Ok(rows)
}

/// Measures what other guests than those of the typed face have: the plain and the ioctl face, in
/// calls for each of `sizes` pages, and a channel with both ends here. It's a program of its own,
/// since a function with more callers is compiled otherwise.
///
/// # Errors
/// If a call fails: the first one's error.
pub async fn run_others<X: Platform>(tools: Tools<'_, X>, sizes: &[u32]) -> Result<Rows, Why> {
    let mut rows = Rows::default();
    rows.0.try_reserve_exact(64).map_err(|_| Error::NO_MEMORY)?;
    let meter = Meter::new(tools);
    for &n in sizes {
        faces::measure(&meter, n, &mut rows)?;
    }
    loopback::measure(&meter, &mut rows).await?;
    Ok(rows)
}

fn largest(sizes: &[u32]) -> u32 {
    sizes.iter().copied().max().unwrap_or(1)
}
