//! Sharing is set up and taken down thousands of times, and each time all is exactly as before.
//!
//! One domain grants to itself. A cycle opens both devices and an event channel, shares 1 to 64
//! pages, uses them from both sides, and lets go in either order, with or without notification;
//! what it does is drawn from a seed. After it no count may be more *or less* than before the
//! first one: grants, parked pages, mappings, reservations, ports, frames, bytes of the heap.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::gntdev::{MapAccess, Mapping, ReadOnly, ReadWrite};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::notify::{CLEAR_BYTE, SEND_EVENT, UnmapNotify};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Error, ForeignGrant, PeerState, Services};
use embassy_futures::select::select;

use tasks::pattern::SplitMix64;
use tasks::text::Text;
use tasks::verdict::{InUse, Verdict, Why, equal};

/// Most pages of a cycle.
const PAGES: u32 = 64;
/// Pages of the first, uncounted one: with more than twice as many, no table grows ever after.
const FIRST: u32 = 160;
/// How long an event may take: 1 s.
const PATIENCE_NS: u64 = 1_000_000_000;
/// What a byte holds that is to be cleared.
const MARK: u8 = 0xa5;

/// What was done in all cycles, for the line at the end.
#[derive(Debug, Default)]
struct Sums {
    pages: u64,
    writable: u32,
    parked: u64,
    bytes: u32,
    events: u32,
}

/// Runs so many cycles once `start` completes; the line that says how they went, as a command of
/// the shell would. `heap` tells the bytes of the heap in use.
pub async fn run<X: Platform>(
    services: &Services<X>,
    heap: &dyn Fn() -> u64,
    (seed, cycles): (u64, u32),
    start: impl Future<Output = ()>,
) -> String {
    let mut draw = SplitMix64::new(seed);
    let mut sums = Sums::default();
    let first = Shape { pages: FIRST, ..Shape::draw(&mut draw) };
    let mut ended = cycle(services, &first, &mut sums).await;
    start.await;
    sums = Sums::default();
    let before = (InUse::of(services), heap());
    let mut done = 0;
    while ended.is_ok() && done < cycles {
        done += 1;
        let shape = Shape::draw(&mut draw);
        ended = cycle(services, &shape, &mut sums).await.and_then(|()| {
            equal("what is in use, with the heap,", (InUse::of(services), heap()), before)
        });
        if let Err(why) = ended {
            ended = Err(Why::new(format_args!("{shape:?}: {why}")));
        }
    }
    let mut line = Text::new();
    let Sums { pages, writable, parked, bytes, events } = sums;
    // Without memory for the line there is none, and whoever waits for it says so.
    let _ = match ended {
        Ok(()) => write!(
            line,
            "ok cycles seed={seed} cycles={done} pages={pages} writable={writable} \
             parked={parked} bytes={bytes} events={events}"
        ),
        Err(why) => {
            write!(line, "error cycles errno=EIO status=- seed {seed}, cycle {done}: {why}")
        }
    };
    line.as_str().into()
}

/// What one cycle does.
#[derive(Clone, Copy, Debug)]
struct Shape {
    pages: u32,
    access: Access,
    /// The granter lets go while the mapper still maps.
    parks: bool,
    /// The actions of the mapper's and of the granter's notification.
    mapper: u32,
    granter: u32,
    /// The page and the byte in it that are used.
    page: u32,
    byte: usize,
    /// What is written.
    stamp: u64,
}

impl Shape {
    fn draw(draw: &mut SplitMix64) -> Self {
        let mut next = |below: u64| draw.next().unwrap_or_default() % below;
        let pages = 1 + next(PAGES.into()) as u32;
        let access = if next(2) == 0 { Access::ReadWrite } else { Access::ReadOnly };
        let mut mapper = next(4) as u32;
        if access == Access::ReadOnly {
            // Nobody clears a byte of what is mapped read-only.
            mapper &= !CLEAR_BYTE;
        }
        Self {
            pages,
            access,
            parks: next(2) == 0,
            mapper,
            granter: next(4) as u32,
            page: next(pages.into()) as u32,
            // Behind the stamp.
            byte: 8 + next(PAGE_SIZE as u64 - 8) as usize,
            stamp: next(u64::MAX),
        }
    }

    /// Where the byte to clear is.
    fn offset(&self) -> usize {
        self.page as usize * PAGE_SIZE + self.byte
    }
}

async fn cycle<X: Platform>(services: &Services<X>, shape: &Shape, sums: &mut Sums) -> Verdict {
    match shape.access {
        Access::ReadWrite => {
            sums.writable += 1;
            cycle_as::<X, ReadWrite>(services, shape, sums).await
        }
        Access::ReadOnly => cycle_as::<X, ReadOnly>(services, shape, sums).await,
    }
}

async fn cycle_as<X: Platform, A: MapAccess>(
    services: &Services<X>,
    shape: &Shape,
    sums: &mut Sums,
) -> Verdict {
    let (gntalloc, gntdev) = (services.gntalloc.open()?, services.gntdev.open()?);
    // The granter hears at its end what the mapper sends, and the other way round.
    let granters = services.events.alloc_unbound(services.domid)?;
    let mappers = services.events.bind_interdomain(services.domid, granters.number())?;
    mappers.wait().await; // binding rings once
    let export = gntalloc.alloc(services.domid, shape.pages, shape.access)?;
    stamp(&export, shape)?;
    let mut grants = Vec::new();
    grants.try_reserve_exact(shape.pages as usize).map_err(|_| Error::NO_MEMORY)?;
    let domid = services.domid.get();
    grants.extend(export.grefs().map(|gref| ForeignGrant { domid, gref }));
    let mapping = gntdev.insert(&grants)?.map::<A>()?;
    check_stamps(&mapping, shape)?;
    let mapped = match A::ACCESS {
        Access::ReadWrite => PeerState::MappedRw,
        Access::ReadOnly => PeerState::MappedRo,
    };
    equal("a page's state", export.states().find(|state| *state != mapped), None)?;

    export.write(shape.offset(), &[MARK])?;
    if shape.mapper != 0 {
        let notify = UnmapNotify { action: shape.mapper, port: mappers.number() };
        mapping.set_notify(shape.offset(), notify)?;
    }
    if shape.granter != 0 {
        let notify = UnmapNotify { action: shape.granter, port: granters.number() };
        export.set_notify(shape.offset(), notify)?;
    }
    let marks = (granters.delivered(), mappers.delivered());
    if shape.parks {
        let_go_first(services, shape, export, mapping)?;
        sums.parked += u64::from(shape.pages);
    } else {
        unmap_first(shape, export, mapping)?;
    }
    heard(services, &granters, marks.0, shape.mapper).await?;
    heard(services, &mappers, marks.1, shape.granter).await?;
    for action in [shape.mapper, shape.granter] {
        sums.bytes += u32::from(action & CLEAR_BYTE != 0);
        sums.events += u32::from(action & SEND_EVENT != 0);
    }
    sums.pages += u64::from(shape.pages);
    Ok(())
}

/// The honest order: the mapper unmaps, then the granter ends.
fn unmap_first<X: Platform, A: MapAccess>(
    shape: &Shape,
    export: Export<X>,
    mapping: Mapping<X, A>,
) -> Verdict {
    drop(mapping);
    equal("the byte", byte(&export, shape)?, left_by(shape.mapper))?;
    Ok(export.end()?)
}

/// The other order: the pages are parked until the mapper unmaps.
fn let_go_first<X: Platform, A: MapAccess>(
    services: &Services<X>,
    shape: &Shape,
    export: Export<X>,
    mapping: Mapping<X, A>,
) -> Verdict {
    let before = services.gntalloc.parked();
    equal("the number of pages parked", export.release(), shape.pages)?;
    equal("the byte", byte(&mapping, shape)?, left_by(shape.granter))?;
    drop(mapping);
    equal("the number of pages back", services.gntalloc.reap(u32::MAX), shape.pages)?;
    equal("the number of parked pages", services.gntalloc.parked(), before)
}

/// Writes to each page, so that a page in the wrong place is seen.
fn stamp(export: &dyn SharedMut, shape: &Shape) -> Result<(), Error> {
    (0..shape.pages).try_for_each(|page| {
        let stamp = shape.stamp.wrapping_add(page.into()).to_le_bytes();
        export.write(page as usize * PAGE_SIZE, &stamp)
    })
}

fn check_stamps(mapping: &dyn Shared, shape: &Shape) -> Verdict {
    (0..shape.pages).try_for_each(|page| {
        let mut stamp = [0; 8];
        mapping.read(page as usize * PAGE_SIZE, &mut stamp)?;
        equal("a stamp", u64::from_le_bytes(stamp), shape.stamp.wrapping_add(page.into()))
    })
}

fn byte(range: &dyn Shared, shape: &Shape) -> Result<u8, Error> {
    let mut byte = [0];
    range.read(shape.offset(), &mut byte)?;
    Ok(byte[0])
}

/// What the byte holds once a notification with these actions has fired.
fn left_by(action: u32) -> u8 {
    if action & CLEAR_BYTE != 0 { 0 } else { MARK }
}

/// Fails unless as many events arrived behind `mark` as the other side's notification sends.
async fn heard<X: Platform>(
    services: &Services<X>,
    port: &Port<X>,
    mark: u64,
    action: u32,
) -> Verdict {
    let expected = u64::from(action & SEND_EVENT != 0);
    if expected > 0 {
        let late = services.xen.sleep_until(services.xen.now() + PATIENCE_NS);
        select(port.wait_beyond(mark), late).await;
    }
    // What was sent and not expected is still pending.
    services.events.dispatch();
    equal("the number of events", port.delivered() - mark, expected)
}
