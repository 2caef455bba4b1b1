// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Linux's grant devices cost through Xen's own libraries, in instructions. This domain shares
//! pages with itself and maps them, as `lab/trials/src/bench` does in a Grantkit guest.
//!
//! It needs QEMU's `-icount shift=0,sleep=off`, which makes the time stamp counter count the
//! instructions of Xen, Linux and the program. Each row is one line, with the minimum of several
//! warm calls, per page: `linux op=map n=512 calls=7 instr=3704.125`. A failed call ends the
//! program before it prints its last line, so that a partial table can't pass for a complete one.
#![expect(unsafe_code, reason = "the time stamp counter")]

use std::arch::x86_64::{_mm_lfence, _rdtsc};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result};
use dom0::libxen::Libxen;
use dom0::region::Region;
use drivers::Access;

/// The numbers of pages per call, as in the bench's guest. At most 1,024 pages can be shared at
/// once.
const SIZES: [u32; 8] = [1, 2, 8, 32, 33, 128, 512, 1024];
/// The most pages that are also mapped one page per call.
const SINGLE: u32 = 33;
/// How many calls are measured, after one to warm up. The minimum counts.
const CALLS: u32 = 7;
/// This domain.
const DOM0: u32 = 0;

/// The minimum cost of each operation, in calls for `n` pages.
#[derive(Default)]
struct Costs {
    n: u32,
    /// The cost of reading the clock twice.
    empty: u64,
    least: BTreeMap<&'static str, u64>,
}

impl Costs {
    fn new(n: u32) -> Costs {
        let mut costs = Costs { n, ..Costs::default() };
        (0..16).for_each(|_| costs.time("empty", || ()));
        costs.empty = costs.least.remove("empty").unwrap_or(0);
        costs
    }

    fn time<R>(&mut self, op: &'static str, act: impl FnOnce() -> R) -> R {
        let start = ticks();
        let result = act();
        let took = (ticks() - start).saturating_sub(self.empty);
        let least = self.least.entry(op).or_insert(u64::MAX);
        *least = took.min(*least);
        result
    }

    /// Prints all rows. Returns how many.
    fn tell(&self) -> usize {
        for (op, ticks) in &self.least {
            let each = *ticks as f64 / f64::from(self.n);
            println!("linux op={op} n={} calls={CALLS} instr={each:.3}", self.n);
        }
        self.least.len()
    }
}

fn main() -> Result<()> {
    let mut libxen = Libxen::open()?;
    let mut rows = 0;
    for n in SIZES {
        let mut costs = Costs::new(n);
        for call in 0..=CALLS {
            one_call(&libxen, &mut costs)?;
            if n <= SINGLE {
                single(&libxen, &mut costs)?;
            }
            if call == 0 {
                costs.least.clear();
            }
        }
        rows += costs.tell();
    }
    rows += events(&mut libxen)?.tell();
    println!("ok linux rows={rows}");
    Ok(())
}

/// Measures a grant's life, with one call for all pages.
fn one_call(libxen: &Libxen, costs: &mut Costs) -> Result<()> {
    let n = costs.n;
    let (mut refs, shared) = costs
        .time("share", || libxen.share(DOM0, n, Access::ReadWrite, None))
        .with_context(|| format!("cannot share {n} pages"))?;
    for (map, unmap, access) in
        [("map", "unmap", Access::ReadWrite), ("map-ro", "unmap-ro", Access::ReadOnly)]
    {
        let region = costs
            .time(map, || libxen.map(DOM0, &mut refs, access, None))
            .with_context(|| format!("cannot map {n} pages"))?;
        costs.time(unmap, || libxen.unmap(region)).context("cannot unmap")?;
    }
    costs.time("end", || libxen.unshare(shared)).context("cannot end")?;
    Ok(())
}

/// Measures maps and unmaps of one page per call.
fn single(libxen: &Libxen, costs: &mut Costs) -> Result<()> {
    let shared = libxen.share(DOM0, costs.n, Access::ReadWrite, None);
    let (refs, shared) = shared.context("cannot share")?;
    let map_one = |gref: &u32| libxen.map(DOM0, &mut [*gref], Access::ReadWrite, None);
    let singles: Vec<Region> = costs
        .time("map-single", || refs.iter().map(map_one).collect::<Result<_, _>>())
        .context("cannot map one page a call")?;
    costs
        .time("unmap-single", || singles.into_iter().try_for_each(|one| libxen.unmap(one)))
        .context("cannot unmap one page a call")?;
    libxen.unshare(shared).context("cannot end")
}

/// Measures an event to this domain itself. Linux receives it before the call returns, and masks
/// the port until somebody has waited for it. A second event stays pending until then.
fn events(libxen: &mut Libxen) -> Result<Costs> {
    let mut costs = Costs::new(1);
    let offered = libxen.offer(DOM0).context("cannot offer a port")?;
    let bound = libxen.bind(DOM0, offered).context("cannot bind a port")?;
    // Xen sends one event when a port is bound.
    libxen.wait(bound, Duration::from_secs(1)).context("no event came")?;
    for _ in 0..CALLS {
        costs.time("send", || libxen.send(bound)).context("cannot send")?;
        costs.time("send-pending", || libxen.send(bound)).context("cannot send")?;
        for _ in 0..2 {
            libxen.wait(offered, Duration::from_secs(1)).context("no event came")?;
        }
    }
    for port in [bound, offered] {
        libxen.close_port(port).context("cannot close a port")?;
    }
    Ok(costs)
}

#[inline(never)]
fn ticks() -> u64 {
    // SAFETY: every processor of the target has the instruction.
    unsafe { _mm_lfence() };
    // SAFETY: Linux lets programs read the counter.
    black_box(unsafe { _rdtsc() })
}
