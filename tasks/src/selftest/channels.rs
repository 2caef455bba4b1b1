//! Checks of event channels: both ends are ours.

use drivers::Access;
use drivers::events::Port;
use drivers::gntdev::ReadWrite;
use drivers::memory::Platform;
use drivers::notify::{CLEAR_BYTE, SEND_EVENT, UnmapNotify};
use drivers::shared::{Shared, SharedMut};
use embassy_futures::select::{Either, select};

use super::rig::{Rig, Verdict, Why, equal};

/// How long an event that must come may take: 5 s, since a host may be busy.
const PATIENCE_NS: u64 = 5_000_000_000;
const ROUND_TRIPS: u64 = 1000;

pub(super) async fn round_trips<X: Platform>(rig: &Rig<'_, X>) -> Verdict {
    let (here, there) = channel(rig).await?;
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
    in_time(rig, "an event", trips).await??;
    let arrived = (here.delivered() - before.0, there.delivered() - before.1);
    equal("the number of events", arrived, (ROUND_TRIPS, ROUND_TRIPS))
}

pub(super) async fn unmapping_tells<X: Platform>(rig: &Rig<'_, X>) -> Verdict {
    let (here, there) = channel(rig).await?;
    let export = rig.share(2, Access::ReadWrite)?;
    let mapping = rig.map::<ReadWrite>(&export)?;
    let notify = UnmapNotify { action: CLEAR_BYTE | SEND_EVENT, port: there.number() };
    mapping.set_notify(5000, notify)?;
    mapping.write(4999, b"xyz")?;
    equal("whether an event came early", here.is_pending(), false)?;
    // Its reservation goes as well: nothing is left to be mapped again.
    drop(mapping.unmap()?);
    in_time(rig, "the event of an unmap", here.wait()).await?;
    let mut bytes = [1; 3];
    export.read(4999, &mut bytes)?;
    equal("the bytes", &bytes, b"x\0z")?;
    Ok(export.end()?)
}

/// A channel to ourselves, quiet at both ends.
async fn channel<X: Platform>(rig: &Rig<'_, X>) -> Result<(Port<X>, Port<X>), Why> {
    let (events, own) = (&rig.services.events, rig.services.domid);
    let here = events.alloc_unbound(own)?;
    let there = events.bind_interdomain(own, here.number())?;
    // Binding rings once at the end that binds, in case the other end has sent before.
    in_time(rig, "the event of a bind", there.wait()).await?;
    Ok((here, there))
}

async fn in_time<X: Platform, R>(
    rig: &Rig<'_, X>,
    what: &str,
    event: impl Future<Output = R>,
) -> Result<R, Why> {
    let xen = &rig.services.xen;
    match select(event, xen.sleep_until(xen.now() + PATIENCE_NS)).await {
        Either::First(result) => Ok(result),
        Either::Second(()) => Err(Why::new(format_args!("{what} did not come"))),
    }
}
