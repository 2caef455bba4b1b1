// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks of event channels, with both ends our own.

use drivers::Access;
use drivers::events::Port;
use drivers::gntdev::ReadWrite;
use drivers::memory::Platform;
use drivers::notify::UnmapNotify;
use drivers::shared::{Shared, SharedMut};
use embassy_futures::select::{Either, select};

use super::fixture::{Fixture, Verdict, Why, same};

/// How long an expected event may take: 5 s, since the host and the guest may be busy.
const PATIENCE_NS: u64 = 5_000_000_000;
const ROUND_TRIPS: u64 = 1000;

pub(super) async fn round_trips<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let (here, there) = channel(fixture).await?;
    let before = (here.delivered(), there.delivered());
    let trips = async {
        for _ in 0..ROUND_TRIPS {
            here.send()?;
            there.wait().await;
            there.send()?;
            here.wait().await;
        }
        Verdict::Ok(())
    };
    let stalled = async {
        let mut seen = None;
        while seen != Some(here.delivered() + there.delivered()) {
            seen = Some(here.delivered() + there.delivered());
            pause(fixture).await;
        }
    };
    first(trips, stalled, "an event").await??;
    let arrived = [here.delivered() - before.0, there.delivered() - before.1];
    same("the number of events", arrived, [ROUND_TRIPS; 2])
}

pub(super) async fn unmapping_tells<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let (here, there) = channel(fixture).await?;
    let export = fixture.share(2, Access::ReadWrite)?;
    let mut mapping = fixture.map::<ReadWrite>(&export)?;
    mapping.set_notify(UnmapNotify::clear_byte(5000).and_event(&there))?;
    mapping.write(4999, b"xyz")?;
    same("whether an event came early", here.is_pending(), false)?;
    // The event is also sent when the reservation goes.
    drop(mapping.unmap()?);
    in_time(fixture, "the event of an unmap", here.wait()).await?;
    let mut bytes = [1; 3];
    export.read(4999, &mut bytes)?;
    same("the bytes", bytes, *b"x\0z")?;
    Ok(export.end()?)
}

/// A channel to ourselves, with nothing pending at either end.
async fn channel<X: Platform>(fixture: &Fixture<'_, X>) -> Result<(Port<X>, Port<X>), Why> {
    let (events, own) = (&fixture.services.events, fixture.services.domid);
    let here = events.alloc_unbound(own)?;
    let there = events.bind_interdomain(own, here.number())?;
    // Binding delivers one event to the binding end, in case the other end has sent before.
    in_time(fixture, "the event of a bind", there.wait()).await?;
    Ok((here, there))
}

async fn in_time<X: Platform, R>(
    fixture: &Fixture<'_, X>,
    what: &str,
    event: impl Future<Output = R>,
) -> Result<R, Why> {
    first(event, pause(fixture), what).await
}

fn pause<X: Platform>(fixture: &Fixture<'_, X>) -> impl Future<Output = ()> {
    let xen = &fixture.services.system;
    xen.sleep_until(xen.now() + PATIENCE_NS)
}

async fn first<R>(
    event: impl Future<Output = R>,
    end: impl Future<Output = ()>,
    what: &str,
) -> Result<R, Why> {
    match select(event, end).await {
        Either::First(result) => Ok(result),
        Either::Second(()) => Err(Why::new(format_args!("{what} did not come"))),
    }
}
