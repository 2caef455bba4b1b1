// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sets up sharing and tears it down thousands of times, and checks that everything is exactly as
//! before each time.
//!
//! One domain grants to itself. A cycle opens both devices and an event channel, shares 1 to 64
//! pages, uses them from both sides, and releases them in either order, with or without
//! notification. A seed determines the choices. After each cycle every count must be the same as
//! before the first one, neither more *nor less*: grants, parked pages, mappings, reservations,
//! ports, frames, bytes of the heap.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::gntdev::{MapAccess, Mapping, ReadOnly, ReadWrite};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::notify::UnmapNotify;
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Error, Pages, PeerState, Services};
use embassy_futures::select::select;

use tasks::pattern::SplitMix64;
use tasks::text::Text;
use tasks::verdict::{InUse, Verdict, Why, equal};

/// The most pages of a cycle.
const PAGES: u32 = 64;
/// The pages of the first cycle, which isn't counted: more than twice `PAGES`, so that no table
/// grows later.
const FIRST: u32 = 160;
/// How long an event may take: 1 s.
const PATIENCE_NS: u64 = 1_000_000_000;
/// The initial value of the byte to clear.
const MARK: u8 = 0xa5;

/// What was done in all cycles, for the result line.
#[derive(Debug, Default)]
struct Sums {
    pages: u64,
    writable: u32,
    parked: u64,
    bytes: u32,
    events: u32,
}

/// Runs `cycles` cycles once `start` completes. Returns a result line like the shell's. `heap`
/// returns the bytes of the heap in use.
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
    // Without memory the line is empty, and the test that waits for it times out.
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

/// What a notification does.
#[derive(Clone, Copy, Debug)]
struct NoticeKind {
    clears: bool,
    rings: bool,
}

impl NoticeKind {
    /// Returns one of the four kinds, by the low bits of `number`.
    fn numbered(number: u64) -> Self {
        Self { clears: number & 1 != 0, rings: number & 2 != 0 }
    }

    /// Returns the notification for the byte at `offset` and this port.
    fn at<X: Platform>(self, offset: usize, port: &Port<X>) -> UnmapNotify {
        let byte = if self.clears { UnmapNotify::clear_byte(offset) } else { UnmapNotify::NONE };
        if self.rings { byte.and_event(port) } else { byte }
    }
}

/// What one cycle does.
#[derive(Clone, Copy, Debug)]
struct Shape {
    pages: u32,
    access: Access,
    /// Whether the granter releases the pages while the mapper still maps them.
    parks: bool,
    /// The mapper's notification, then the granter's.
    mapper: NoticeKind,
    granter: NoticeKind,
    /// The page that is used, and the offset of the byte in it.
    page: u32,
    byte: usize,
    /// What is written to the pages.
    stamp: u64,
}

impl Shape {
    fn draw(draw: &mut SplitMix64) -> Self {
        let mut next = |below: u64| draw.next().unwrap_or_default() % below;
        let pages = 1 + next(PAGES.into()) as u32;
        let access = if next(2) == 0 { Access::ReadWrite } else { Access::ReadOnly };
        let mut mapper = NoticeKind::numbered(next(4));
        // A byte of a read-only mapping can't be cleared.
        mapper.clears &= access == Access::ReadWrite;
        Self {
            pages,
            access,
            parks: next(2) == 0,
            mapper,
            granter: NoticeKind::numbered(next(4)),
            page: next(pages.into()) as u32,
            // After the stamp.
            byte: 8 + next(PAGE_SIZE as u64 - 8) as usize,
            stamp: next(u64::MAX),
        }
    }

    /// Returns the offset of the byte to clear.
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
    let (gntalloc, gntdev) = (services.gntalloc.open(), services.gntdev.open()?);
    // The mapper's events arrive at the granter's port, and vice versa.
    let granters = services.events.alloc_unbound(services.domid)?;
    let mappers = services.events.bind_interdomain(services.domid, granters.number())?;
    mappers.wait().await; // a bound port has an event
    let mut export = gntalloc.alloc(services.domid, Pages(shape.pages), shape.access)?;
    stamp(&export, shape)?;
    let mut grants = Vec::new();
    grants.try_reserve_exact(shape.pages as usize).map_err(|_| Error::NO_MEMORY)?;
    grants.extend(export.grefs().map(|gref| services.domid.grant(gref)));
    let mut mapping = gntdev.reserve(&grants)?.map::<A>()?;
    check_stamps(&mapping, shape)?;
    let mapped = match A::ACCESS {
        Access::ReadWrite => PeerState::MappedRw,
        Access::ReadOnly => PeerState::MappedRo,
    };
    equal("a page's state", export.states().find(|state| *state != mapped), None)?;

    export.write(shape.offset(), &[MARK])?;
    mapping.set_notify(shape.mapper.at(shape.offset(), &mappers))?;
    export.set_notify(shape.granter.at(shape.offset(), &granters))?;
    let marks = (granters.delivered(), mappers.delivered());
    if shape.parks {
        let_go_first(services, shape, export, mapping)?;
        sums.parked += u64::from(shape.pages);
    } else {
        unmap_first(shape, export, mapping)?;
    }
    heard(services, &granters, marks.0, shape.mapper).await?;
    heard(services, &mappers, marks.1, shape.granter).await?;
    for notice in [shape.mapper, shape.granter] {
        sums.bytes += u32::from(notice.clears);
        sums.events += u32::from(notice.rings);
    }
    sums.pages += u64::from(shape.pages);
    Ok(())
}

/// Releases in the usual order: the mapper unmaps, then the granter ends the export.
fn unmap_first<X: Platform, A: MapAccess>(
    shape: &Shape,
    export: Export<X>,
    mapping: Mapping<X, A>,
) -> Verdict {
    drop(mapping);
    equal("the byte", byte(&export, shape)?, left_by(shape.mapper))?;
    Ok(export.end()?)
}

/// Releases in the other order: the pages are parked until the mapper unmaps.
fn let_go_first<X: Platform, A: MapAccess>(
    services: &Services<X>,
    shape: &Shape,
    export: Export<X>,
    mapping: Mapping<X, A>,
) -> Verdict {
    let before = services.gntalloc.parked();
    equal("the number of pages parked", export.release(), Pages(shape.pages))?;
    equal("the byte", byte(&mapping, shape)?, left_by(shape.granter))?;
    drop(mapping);
    equal("the number of pages back", services.gntalloc.reap(u32::MAX), shape.pages)?;
    equal("the number of parked pages", services.gntalloc.parked(), before)
}

/// Writes a stamp to each page, to detect a page in the wrong place.
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

/// Returns the byte's value once a notification has taken effect.
fn left_by(notice: NoticeKind) -> u8 {
    if notice.clears { 0 } else { MARK }
}

/// Fails unless the number of events since `mark` is what the other side's notification sends.
async fn heard<X: Platform>(
    services: &Services<X>,
    port: &Port<X>,
    mark: u64,
    notice: NoticeKind,
) -> Verdict {
    let expected = u64::from(notice.rings);
    if expected > 0 {
        let late = services.system.sleep_until(services.system.now() + PATIENCE_NS);
        select(port.wait_beyond(mark), late).await;
    }
    // An unexpected event would still be pending.
    services.events.dispatch();
    equal("the number of events", port.delivered() - mark, expected)
}
