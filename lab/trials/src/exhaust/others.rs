// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must keep working while something is used up: whatever exists already, and new ones of
//! everything else.

use drivers::Services;
use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::gntdev::{Mapping, ReadWrite};
use drivers::memory::Platform;
use drivers::shared::{Shared, SharedMut};
use drivers::xenstore::persist;
use embassy_futures::select::{Either, select};

use super::devices::Devices;
use super::scarce::Scarce;
use tasks::verdict::{Verdict, Why, equal};

/// How long an event may take: 1 s.
const PATIENCE_NS: u64 = 1_000_000_000;
/// A node of the domain's own.
const NODE: &str = "data/exhaust";

/// A shared page with its mapping, and a pair of ports.
#[derive(Debug)]
pub(super) struct Others<'a, X: Platform> {
    devices: Devices<'a, X>,
    mapping: Mapping<X, ReadWrite>,
    export: Export<X>,
    rings: Port<X>,
    hears: Port<X>,
}

impl<'a, X: Platform> Others<'a, X> {
    pub(super) fn open(services: &'a Services<X>) -> Result<Self, Why> {
        let devices = Devices::open(services)?;
        let export = devices.grant(1)?;
        let mapping = devices.reserve(&export, 0)?.map()?;
        let rings = devices.port()?;
        let hears = services.events.bind_interdomain(services.domid, rings.number())?;
        Ok(Self { devices, mapping, export, rings, hears })
    }

    /// Uses what exists already, and makes and uses one more of everything that isn't used up.
    pub(super) async fn go_on(&self, used_up: &[Scarce]) -> Verdict {
        self.old().await?;
        if !used_up.contains(&Scarce::Grants) {
            let export = self.devices.grant(1)?;
            export.write(0, b"granted")?;
            export.end()?;
        }
        if !used_up.contains(&Scarce::Mappings) {
            let mapping = self.devices.reserve(&self.export, 0)?.map::<ReadWrite>()?;
            mapping.write(8, b"mapped")?;
            mapping.unmap()?;
            let mut bytes = [0; 6];
            self.export.read(8, &mut bytes)?;
            equal("what the granter reads", &bytes, b"mapped")?;
        }
        if !used_up.contains(&Scarce::Ports) {
            drop(self.devices.port()?);
        }
        Ok(())
    }

    async fn old(&self) -> Verdict {
        let services = self.devices.services;
        let stamp = services.system.now().to_le_bytes();
        let mut read = [0; 8];
        self.export.write(0, &stamp)?;
        self.mapping.read(0, &mut read)?;
        equal("what the mapper reads", read, stamp)?;
        let mark = self.hears.delivered();
        self.rings.send()?;
        let late = services.system.sleep_until(services.system.now() + PATIENCE_NS);
        if let Either::Second(()) = select(self.hears.wait_beyond(mark), late).await {
            return Err(Why::new(format_args!("an event did not arrive")));
        }
        let Some(store) = &services.xenstore else {
            return Ok(());
        };
        persist(&services.system, &|| store.write(NODE, &stamp)).await?;
        let value = persist(&services.system, &|| store.read(NODE)).await?;
        equal("what xenstore keeps", &*value, &stamp[..])?;
        persist(&services.system, &|| store.remove(NODE)).await?;
        Ok(())
    }
}
