// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sharing and mapping, and ending both.

use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::mem;

use drivers::gntdev::{Failed, Reservation};
use drivers::memory::Platform;
use drivers::{
    Access, ClaimedDomId, ClaimedGrant, GrantRef, GrantStatus, Pages, Services, list, status_name,
};

use crate::machine::Machine;
use crate::shell::args::Args;
use crate::shell::objects::{AnyMapping, Map, Object, with_mapping};
use crate::shell::reply::{Done, print_lines};
use crate::shell::state::Shell;
use crate::text::{self, Text};

/// Maximum number of references that a failed map prints a line for.
const TOLD: usize = 8;

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `share <domid> <pages> [ro]`
    pub(crate) fn share(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (peer, pages) = (args.domid()?, Pages(args.number("<pages>")?));
        let access = args.access()?;
        let id = self.objects.reserve()?;
        let export = self.services.gntalloc.open().alloc(peer, pages, access)?;
        write!(ok, " id={id} domid={peer} pages={pages} access={access} refs=")?;
        text::list(ok, export.grefs())?;
        self.objects.add(Object::Share(export))
    }

    /// `map <domid> <ref,ref,...> [ro]`
    pub(crate) async fn map(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let peer = match args.name() {
            Some(_) => args.domid()?.into(),
            None => ClaimedDomId(args.number("<domid>")?),
        };
        let grefs = args.word("<ref,ref,...>")?;
        let mut grants = Vec::new();
        for word in grefs.split(',') {
            let gref = GrantRef(args.parse("reference", word)?);
            list::push(&mut grants, ClaimedGrant { domid: peer, gref })?;
        }
        let access = args.access()?;
        self.map_grants(peer, &grants, access, ok).await
    }

    /// Maps what `peer` has granted, and appends the keys of `map`.
    pub(crate) async fn map_grants(
        &mut self,
        peer: ClaimedDomId,
        grants: &[ClaimedGrant],
        access: Access,
        ok: &mut Text,
    ) -> Done {
        // Checked first, while there is nothing to undo; a granter that ends later will then be
        // noticed.
        let seen = self.sees(peer).await == Some(true);
        let id = self.objects.reserve()?;
        let reservation = self.gntdev()?.reserve(grants)?;
        let mapping = match map_reservation(reservation, access) {
            Ok(mapping) => mapping,
            Err(failed) => {
                // If there is no memory for these lines, the result line still has the first
                // refusal.
                let _ = tell_refused(&self.services, &failed).await;
                return Err(failed.error.into());
            }
        };
        let addr = with_mapping!(&mapping, mapping => mapping.addr());
        write!(ok, " id={id} domid={peer} pages={} access={access} va={addr:x}", grants.len())?;
        let since = self.services.system.now();
        self.objects.add(Object::Map(Map { mapping, peer, since, seen }))
    }

    /// `unmap <id>`
    pub(crate) fn unmap(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let id = args.number("<id>")?;
        args.end()?;
        let map = self.objects.remove_map(id)?;
        // This drops the reservation as well.
        with_mapping!(map.mapping, mapping => drop(mapping.unmap()?));
        Ok(write!(ok, " id={id} state=unmapped")?)
    }

    /// `unshare <id>`
    pub(crate) fn unshare(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let id = args.number("<id>")?;
        args.end()?;
        let parked = self.objects.remove_share(id)?.release();
        self.offers.retain(|offer| offer.id != id);
        let state = if parked > Pages(0) { "parked" } else { "freed" };
        Ok(write!(ok, " id={id} state={state}")?)
    }
}

fn map_reservation<X: Platform>(
    reservation: Reservation<X>,
    access: Access,
) -> Result<AnyMapping<X>, Failed<Reservation<X>>> {
    Ok(match access {
        Access::ReadWrite => AnyMapping::Rw(reservation.map()?),
        Access::ReadOnly => AnyMapping::Ro(reservation.map()?),
    })
}

/// Prints a line for each of the first references that Xen refused, and the number of further ones.
async fn tell_refused<X: Platform>(
    services: &Services<X>,
    failed: &Failed<Reservation<X>>,
) -> fmt::Result {
    if failed.error.status().is_none() {
        // Xen was not asked, or gave no statuses.
        return Ok(());
    }
    let refused = || failed.value.statuses().filter(|(_, status)| *status != GrantStatus::OKAY);
    let mut more = refused().count().saturating_sub(TOLD);
    let mut told = refused().take(TOLD);
    let mut next = |to: &mut Text| match told.next() {
        Some((ClaimedGrant { domid, gref }, status)) => {
            let (name, number) = (status_name(status), status.0);
            Some(writeln!(to, "refused ref={gref} peer={domid}: {name} ({number})"))
        }
        None if more > 0 => Some(writeln!(to, "refused {} more", mem::take(&mut more))),
        None => None,
    };
    print_lines(&services.console, &mut next).await
}
