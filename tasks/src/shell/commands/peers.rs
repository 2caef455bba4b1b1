// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sharing by name: which peers exist, what they offer, and domains' names.
//!
//! A guest publishes its name at [`NODE`], readable by all. Below that, readable only by a share's
//! peer, it publishes the access and the references of what it offers: `rw 8-15,40`. Any domain may
//! write anything there. So a name that two domains use counts for neither, and an offer is a claim
//! that Xen checks when it is mapped.

use alloc::vec::Vec;
use core::fmt::Write;
use core::pin::pin;

use drivers::memory::Platform;
use drivers::peers::{is_name, look, publish, survey};
use drivers::xenstore::{DomainPath, Publication, Reader, XenStore, decimal, names, persist};
use drivers::{Access, ClaimedGrant, DomId, Errno, Error, GrantRef, Services, list as lists};

use crate::machine::Machine;
use crate::shell::args::Args;
use crate::shell::reply::{Done, Failure, print_lines};
use crate::shell::state::Shell;
use crate::text::{Plain, Quoted, Text};

/// Where a guest publishes its name, relative to its `/local/domain/<domid>`.
pub(crate) const NODE: &str = "data/grantkit/shared";
/// Time limit for a survey of all domains within reach.
const SURVEY_MS: u64 = 10_000;
/// Maximum number of bytes shown of a peer's name, and of its offers shown.
const SHOWN: usize = 32;
const OFFERS: usize = 16;

/// One of our shares that has a name.
#[derive(Debug)]
pub(crate) struct Offer<X: Platform> {
    /// The share's id.
    pub(crate) id: u64,
    name: Text,
    _node: Publication<X>,
}

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `peers`
    pub(crate) async fn peers(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        args.end()?;
        let mut found = Ok(Vec::new());
        self.wait_for(Some(SURVEY_MS), pin!(async { found = all(&self.services).await })).await?;
        let found = found?;
        let mut rest = found.iter();
        let mut next = |to: &mut Text| Some(writeln!(to, "{}", rest.next()?.as_str()));
        print_lines(&self.services.console, &mut next).await?;
        Ok(write!(ok, " peers={}", found.len())?)
    }

    /// `offer <id> <name>`
    pub(crate) async fn offer(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let id = args.number("<id>")?;
        let name = args.word("<name>")?;
        args.end()?;
        if !is_name(name) {
            return Err(args.wrong(format_args!(
                "{} is no name: 1 to 32 letters, digits, - and _",
                Quoted(name)
            )));
        }
        if self.offers.iter().any(|offer| offer.name.as_str() == name) {
            return Err(Failure::new(
                Errno::EEXIST,
                format_args!("you offer {name} already; unshare ends it"),
            ));
        }
        let share = self.objects.share(id)?;
        let (mut value, mut path) = (Text::new(), Text::new());
        value.write_str(if share.access() == Access::ReadOnly { "ro" } else { "rw" })?;
        write_list(&mut value, share.grefs())?;
        write!(path, "{NODE}/{name}")?;
        let reader = Reader::Domain(share.peer());
        self.say_name().await?;
        let said = value.as_str().as_bytes();
        let node = publish(&self.services, path.as_str(), said, reader).await?;
        let mut own = Text::new();
        own.write_str(name)?;
        lists::push(&mut self.offers, Offer { id, name: own, _node: node })?;
        Ok(write!(ok, " id={id} name={name}")?)
    }

    /// `take <peer> <name> [ro]`
    pub(crate) async fn take(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let peer = args.domid()?;
        let name = args.word("<name>")?;
        let access = args.access()?;
        let mut path = Text::new();
        write!(path, "{NODE}/{name}")?;
        let mut said = Ok(None);
        let looking = async { said = look(&self.services, peer, path.as_str()).await };
        self.wait_for(Some(SURVEY_MS), pin!(looking)).await?;
        let Some(said) = said?.filter(|_| is_name(name)) else {
            return Err(Failure::new(
                Errno::ENOENT,
                format_args!("domain {peer} offers you no {}; peers lists offers", Quoted(name)),
            ));
        };
        let most = self.services.gntdev.limit() as usize;
        let Some((offered, grants)) = decode(&said, peer, most)? else {
            return Err(Failure::invalid(format_args!("domain {peer} says nonsense about {name}")));
        };
        if (offered, access) == (Access::ReadOnly, Access::ReadWrite) {
            return Err(Failure::new(
                Errno::EACCES,
                format_args!("domain {peer} offers {name} for reading; add ro"),
            ));
        }
        self.map_grants(peer.into(), &grants, access, ok).await
    }

    /// The domain with this name. Xen checks only domids, not names.
    pub(crate) async fn named(&self, name: &str) -> Result<DomId, Failure> {
        let (mut found, mut done) = ((0, self.services.domid), Ok(()));
        let looking = async {
            done = async {
                let own = look(&self.services, self.services.domid, NODE).await?;
                found.0 = u32::from(own.is_some_and(|own| own == name.as_bytes()));
                let seen = |domid, said: &[u8]| {
                    if said == name.as_bytes() {
                        found = (found.0 + 1, domid);
                    }
                };
                survey(&self.services, NODE, seen).await
            }
            .await;
        };
        self.wait_for(Some(SURVEY_MS), pin!(looking)).await?;
        done?;
        let name = Quoted(name);
        match found {
            (1, domid) => Ok(domid),
            (0, _) => Err(Failure::new(
                Errno::ENOENT,
                format_args!("no domain says that its name is {name}; peers lists those that do"),
            )),
            (many, _) => Err(Failure::new(
                Errno::ENOENT,
                format_args!("{many} domains say that their name is {name}; take a number"),
            )),
        }
    }

    /// Publishes our own name, unless it already is.
    pub(crate) async fn say_name(&mut self) -> Result<(), Error> {
        if self.said_name.is_none() {
            let name = self.own_name().await;
            let name = name.as_ref().map_or(&b"grantkit"[..], Vec::as_slice);
            self.said_name = Some(publish(&self.services, NODE, name, Reader::Anyone).await?);
        }
        Ok(())
    }
}

/// One line for each domain within reach that has published its name.
async fn all<X: Platform>(services: &Services<X>) -> Result<Vec<Text>, Failure> {
    let mut found = Vec::new();
    let mut full = Ok(());
    let seen = |domid, said: &[u8]| {
        let mut line = Text::new();
        let name = Plain(said.get(..SHOWN).unwrap_or(said));
        full = full.and_then(|()| {
            write!(line, "peer domid={domid} name={name} offers=").map_err(|_| Error::NO_MEMORY)?;
            lists::push(&mut found, (domid, line))
        });
    };
    survey(services, NODE, seen).await?;
    full?;
    let mut lines = Vec::new();
    for (domid, mut line) in found {
        let offers = offers(services, services.store()?, domid).await?;
        let mut count = 0;
        for name in names(&offers).take(OFFERS) {
            let comma = if count > 0 { "," } else { "" };
            write!(line, "{comma}{}", Plain(name.get(..SHOWN).unwrap_or(name)))?;
            count += 1;
        }
        line.write_str(match names(&offers).count() {
            0 => "-",
            more if more > count => ",...",
            _ => "",
        })?;
        lists::push(&mut lines, line)?;
    }
    Ok(lines)
}

/// The names of a domain's offers, as xenstore lists them; none if it has gone in the meantime.
async fn offers<X: Platform>(
    services: &Services<X>,
    store: &XenStore<X>,
    domid: DomId,
) -> Result<Vec<u8>, Error> {
    let path = DomainPath { domid, rest: NODE }.absolute()?;
    match persist(&services.system, &|| store.directory(&path)).await {
        Err(Error::XenStore(Errno::EACCES | Errno::ENOENT | Errno::E2BIG)) => Ok(Vec::new()),
        said => said,
    }
}

/// Appends references, with consecutive ones as a range: ` 8-15,40`.
fn write_list(to: &mut Text, grefs: impl Iterator<Item = GrantRef>) -> core::fmt::Result {
    let mut run: Option<(u32, u32)> = None;
    let mut joint = " ";
    let mut end = |to: &mut Text, run: Option<(u32, u32)>| {
        let Some((first, last)) = run else {
            return Ok(());
        };
        write!(to, "{joint}{first}")?;
        joint = ",";
        if last > first { write!(to, "-{last}") } else { Ok(()) }
    };
    for GrantRef(gref) in grefs {
        match &mut run {
            Some((_, last)) if last.checked_add(1) == Some(gref) => *last = gref,
            _ => end(to, run.replace((gref, gref)))?,
        }
    }
    end(to, run)
}

/// Parses a peer's offer: the access, and a limited number of references; `None` if it is invalid.
fn decode(
    said: &[u8],
    peer: DomId,
    most: usize,
) -> Result<Option<(Access, Vec<ClaimedGrant>)>, Error> {
    let Some((access, list)) = str::from_utf8(said).ok().and_then(|said| said.split_once(' '))
    else {
        return Ok(None);
    };
    let access = match access {
        "rw" => Access::ReadWrite,
        "ro" => Access::ReadOnly,
        _ => return Ok(None),
    };
    let mut grants = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (decimal(first.as_bytes()), decimal(last.as_bytes()))
        else {
            return Ok(None);
        };
        for gref in first..=last {
            if grants.len() == most {
                return Ok(None);
            }
            lists::push(&mut grants, peer.grant(GrantRef(gref)))?;
        }
    }
    Ok(Some((access, grants)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const PEER: DomId = DomId::DOM0;

    fn decoded(said: &[u8]) -> Option<(Access, Vec<u32>)> {
        let (access, grants) = decode(said, PEER, 10).unwrap()?;
        Some((access, grants.iter().map(|grant| grant.gref.0).collect()))
    }

    #[test]
    fn references_are_written_as_runs_and_read_back() {
        let mut text = Text::new();
        text.write_str("ro").unwrap();
        write_list(&mut text, [8, 9, 10, 40, 12].map(GrantRef).into_iter()).unwrap();
        assert_eq!(text.as_str(), "ro 8-10,40,12");
        let (access, grefs) = decoded(text.as_str().as_bytes()).unwrap();
        assert_eq!((access, &grefs[..]), (Access::ReadOnly, &[8, 9, 10, 40, 12][..]));
    }

    #[test]
    fn an_offer_of_another_form_is_nonsense() {
        for nonsense in [
            &b""[..],
            b"rw",
            b"rw ",
            b"xx 8",
            b"rw 8,",
            b"rw x",
            b"rw +8",
            b"rw 8-+9",
            b"rw -1",
            b"rw 0-4294967295",
            b"\xff 8",
        ] {
            assert_eq!(decoded(nonsense), None, "{nonsense:?}");
        }
        // A backward range is empty.
        assert_eq!(decoded(b"rw 9-8"), Some((Access::ReadWrite, Vec::new())));
    }
}
