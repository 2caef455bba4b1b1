// SPDX-License-Identifier: MIT OR Apache-2.0
//! Uses up grants, mappings and event channels. One too many must give the contract's error,
//! everything else must keep working meanwhile, and a freed one must be usable again.
//!
//! For a domain with small tables, which maps its own grants. Every round uses up each of the three
//! alone and then all at once, and leaves every count as it was.

mod devices;
mod others;
mod scarce;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use drivers::Services;
use drivers::gntdev::ReadWrite;
use drivers::memory::Platform;
use tasks::verdict::{InUse, Why, equal};

use self::devices::Devices;
use self::others::Others;
use self::scarce::{MORE, Scarce, Supplies, refused, use_up};

/// The most writable mappings that Xen allows of one gref.
const PINS: usize = 128;

/// Runs `rounds` rounds, after a first one that isn't counted because it makes what is made only
/// once. The first one awaits `full` while all three are used up. Returns a result line like the
/// shell's. `heap` returns the bytes of the heap in use.
pub async fn run<X: Platform>(
    services: &Services<X>,
    heap: &dyn Fn() -> u64,
    rounds: u32,
    full: impl Future<Output = ()>,
) -> String {
    match all(services, heap, rounds, full).await {
        Ok(words) => format!("ok exhaust {words}"),
        Err(why) => format!("error exhaust errno=EIO status=- {why}"),
    }
}

async fn all<X: Platform>(
    services: &Services<X>,
    heap: &dyn Fn() -> u64,
    rounds: u32,
    full: impl Future<Output = ()>,
) -> Result<String, Why> {
    let start = InUse::of(services);
    let counts = round(services, full).await?;
    let before = (InUse::of(services), heap());
    // Page tables and grown tables are kept.
    equal("what is in use but frames", InUse { frames: start.frames, ..before.0 }, start)?;
    for number in 1..=rounds {
        let of_round = |why: Why| Why::new(format_args!("round {number}: {why}"));
        let again = round(services, async {}).await.map_err(of_round)?;
        equal("how many there were", again, counts).map_err(of_round)?;
        let after = (InUse::of(services), heap());
        equal("what is in use, with the heap,", after, before).map_err(of_round)?;
    }
    let Supplies { grants, mappings, ports } = counts;
    Ok(format!("rounds={rounds} grants={grants} mappings={mappings} ports={ports}"))
}

async fn round<X: Platform>(
    services: &Services<X>,
    full: impl Future<Output = ()>,
) -> Result<Supplies, Why> {
    let devices = Devices::open(services)?;
    let others = Others::open(services)?;
    others.go_on(&[]).await?;
    let grants = last_grant(&devices, &others).await?;
    let mappings = last_mapping(&devices, &others).await?;
    let ports = last_port(&devices, &others).await?;
    let counts = Supplies { grants, mappings, ports };
    equal("how many there are all at once", all_at_once(&devices, &others, full).await?, counts)?;
    others.go_on(&[]).await?;
    Ok(counts)
}

/// Uses up the grants.
async fn last_grant<X: Platform>(
    devices: &Devices<'_, X>,
    others: &Others<'_, X>,
) -> Result<u32, Why> {
    let mut exports = use_up(Scarce::Grants, |_| devices.grant(1))?;
    let count = Supplies::of(devices.services).grants;
    others.go_on(&[Scarce::Grants]).await?;
    // With one grant left, a call for two pages grants neither.
    exports.pop();
    let two = devices.grant(2);
    refused(Scarce::Grants, &two)?;
    equal("the number of grants", Supplies::of(devices.services).grants, count - 1)?;
    Ok(count)
}

/// Uses up the mappings.
async fn last_mapping<X: Platform>(
    devices: &Devices<'_, X>,
    others: &Others<'_, X>,
) -> Result<u32, Why> {
    let mut exports = Vec::new();
    for _ in 0..MORE / PINS + 1 {
        exports.push(devices.grant(1)?);
    }
    let mut mappings = use_up(Scarce::Mappings, |number| devices.map(&exports, number))?;
    let count = Supplies::of(devices.services).mappings;
    others.go_on(&[Scarce::Mappings]).await?;
    // A refused map leaves its reservation, which can be mapped once there is a mapping left.
    let Err(failed) = devices.reserve(&exports[0], 0)?.map::<ReadWrite>() else {
        return Err(Why::new(format_args!("one mapping too many was made")));
    };
    mappings.pop();
    let mapping = failed.value.map::<ReadWrite>()?;
    equal("the number of mappings", Supplies::of(devices.services).mappings, count)?;
    drop((mapping, mappings));
    Ok(count)
}

/// Uses up the event channels.
async fn last_port<X: Platform>(
    devices: &Devices<'_, X>,
    others: &Others<'_, X>,
) -> Result<u32, Why> {
    let offered = devices.port()?;
    let mut ports = use_up(Scarce::Ports, |_| devices.port())?;
    let count = Supplies::of(devices.services).ports;
    others.go_on(&[Scarce::Ports]).await?;
    // Binding needs a port, too. A failed bind leaves the offered port as it is.
    let events = &devices.services.events;
    let bind = || events.bind_interdomain(devices.services.domid, offered.number());
    refused(Scarce::Ports, &bind())?;
    ports.pop();
    bind()?;
    Ok(count)
}

/// Uses up all three at once.
async fn all_at_once<X: Platform>(
    devices: &Devices<'_, X>,
    others: &Others<'_, X>,
    full: impl Future<Output = ()>,
) -> Result<Supplies, Why> {
    let exports = use_up(Scarce::Grants, |_| devices.grant(1))?;
    let mappings = use_up(Scarce::Mappings, |number| devices.map(&exports, number))?;
    let ports = use_up(Scarce::Ports, |_| devices.port())?;
    let counts = Supplies::of(devices.services);
    others.go_on(Scarce::ALL).await?;
    full.await;
    others.go_on(Scarce::ALL).await?;
    drop(mappings);
    drop((exports, ports));
    Ok(counts)
}
