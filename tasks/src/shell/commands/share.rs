//! Sharing and mapping, and the end of both.

use alloc::vec::Vec;
use core::fmt::Write;

use drivers::gntdev::{Failed, Reservation};
use drivers::memory::Platform;
use drivers::{Access, Error, ForeignGrant, GrantRef};

use crate::Machine;
use crate::shell::Shell;
use crate::shell::args::Args;
use crate::shell::objects::{AnyMapping, Map, Object, with_mapping};
use crate::shell::reply::Done;
use crate::text::Text;

/// `share <domid> <pages> [ro]`
pub(crate) fn share<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let (peer, pages) = (args.domid()?, args.number("<pages>")?);
    let access = args.access()?;
    let id = shell.objects.reserve()?;
    let export = shell.services.gntalloc.open()?.alloc(peer, pages, access)?;
    write!(ok, " id={id} domid={peer} pages={pages} access={access} refs=")?;
    for (page, gref) in export.grefs().enumerate() {
        let comma = if page > 0 { "," } else { "" };
        write!(ok, "{comma}{gref}")?;
    }
    shell.objects.add(Object::Share(export));
    Ok(())
}

/// `map <domid> <ref,ref,...> [ro]`
pub(crate) async fn map<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let peer = args.number("<domid>")?;
    let list = args.word("<ref,ref,...>")?;
    let mut grants = Vec::new();
    let count = list.split(',').count();
    grants.try_reserve_exact(count).map_err(|_| Error::NO_MEMORY)?;
    for word in list.split(',') {
        let gref = GrantRef(args.parse("reference", word)?);
        grants.push(ForeignGrant { domid: peer, gref });
    }
    let access = args.access()?;
    // Before there is anything to undo, and before the granter's end could be missed.
    let seen = shell.sees(peer).await == Some(true);
    let id = shell.objects.reserve()?;
    let reservation = shell.gntdev()?.insert(&grants)?;
    let mapping = map_reservation(reservation, access).map_err(|failed| failed.error)?;
    let addr = with_mapping!(&mapping, mapping => mapping.addr());
    write!(ok, " id={id} domid={peer} pages={count} access={access} va={addr:x}")?;
    let since = shell.services.xen.now();
    shell.objects.add(Object::Map(Map { mapping, peer, since, seen }));
    Ok(())
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

/// `unmap <id>`
pub(crate) fn unmap<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let id = args.number("<id>")?;
    args.end()?;
    let map = shell.objects.remove_map(id)?;
    // The reservation goes with it: nothing of it is left in the handle.
    with_mapping!(map.mapping, mapping => drop(mapping.unmap()?));
    Ok(write!(ok, " id={id} state=unmapped")?)
}

/// `unshare <id>`
pub(crate) fn unshare<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let id = args.number("<id>")?;
    args.end()?;
    let parked = shell.objects.remove_share(id)?.release();
    let state = if parked > 0 { "parked" } else { "freed" };
    Ok(write!(ok, " id={id} state={state}")?)
}
