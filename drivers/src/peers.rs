// SPDX-License-Identifier: MIT OR Apache-2.0
//! How domains that know nothing of each other find each other, through xenstore.
//!
//! Whoever wants to be found [publishes](publish) a node below its own part of the tree, such as
//! `data/vault`; who looks for it [finds](find) the node of that name below another's. Each can
//! name the other in what it publishes, so an offer that goes to one domain is found by that one.
//!
//! A guest may list no domains. So one watch on `/local/domain` tells of every node that becomes
//! readable from now on, and those who were there before are looked for among the 256 domains
//! whose numbers are nearest. All requests are tried again while xenstore is busy.
//!
//! Any domain may publish under any name, whatever it likes: what is found is a claim, to be
//! checked as every input is. This refuses to believe more of a node than whose it is, which
//! xenstore vouches for.
//!
//! ```
//! use drivers::xenstore::Reader;
//! use drivers::{DomId, GrantRef, peers};
//! use fake_xen::{Pair, Task};
//!
//! let Pair { world, alice, bob } = Pair::new();
//! let granter = async {
//!     let page = alice.share(&bob, 1);
//!     let gref = page.gref().to_string();
//!     // The node goes with this value.
//!     let node = peers::publish(&alice, "data/vault", gref.as_bytes(), Reader::Anyone).await;
//!     alice.system.sleep_until(1_000_000_000).await;
//!     drop(node);
//! };
//! let mapper = async {
//!     let vault = |domid: DomId, said: &[u8]| {
//!         let gref = str::from_utf8(said).ok()?.parse().ok()?;
//!         Some(domid.grant(GrantRef(gref)))
//!     };
//!     let grant = peers::find(&bob, "data/vault", vault).await.expect("xenstore serves");
//!     assert_eq!(grant.domid, alice.domid.into());
//! };
//! world.run([Task::new(&alice.events, granter), Task::new(&bob.events, mapper)]);
//! ```

use alloc::vec::Vec;
use core::fmt;
use core::future::pending;
use core::pin::pin;

use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;

use crate::memory::Platform;
use crate::xenstore::{DomainPath, Publication, Reader, Watch, WatchEvent, persist};
use crate::{DomId, Errno, Error, Services};

/// The path that is watched.
const ALL: &str = "/local/domain";
/// How far from its own number a guest looks for domains that were there before it.
const REACH: u16 = 128;
/// After how long without news [`find`] looks at all again: 3 s. Nothing should make that
/// necessary; a watch that a daemon forgets would.
const AGAIN_NS: u64 = 3_000_000_000;

/// Publishes a node of ours for `reader`, and keeps it until the [`Publication`] is dropped. A
/// relative `path` is below our own `/local/domain/<domid>`, where a guest may write below `data/`.
///
/// # Errors
/// As [`XenStore::publish`](crate::xenstore::XenStore::publish), after a fifth try where it could
/// pass; ENODEV in dom0's place.
pub async fn publish<X: Platform>(
    services: &Services<X>,
    path: &str,
    value: &[u8],
    reader: Reader,
) -> Result<Publication<X>, Error> {
    let store = services.store()?;
    persist(&services.system, || store.publish(path, value, reader)).await
}

/// The value of another domain's node, at this path below its `/local/domain/<domid>`; `None` if
/// there is none that we may read.
///
/// # Errors
/// Xenstore's, other than ENOENT and EACCES, after a fifth try where it could pass; ENOMEM; ENODEV
/// in dom0's place.
pub async fn look<X: Platform>(
    services: &Services<X>,
    domid: DomId,
    path: &str,
) -> Result<Option<Vec<u8>>, Error> {
    let store = services.store()?;
    let node = DomainPath { domid, rest: path }.absolute()?;
    match persist(&services.system, || store.read(&node)).await {
        Ok(value) => Ok(Some(value)),
        Err(Error::XenStore(Errno::EACCES | Errno::ENOENT)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits for a domain that publishes at `path` what is wanted: `wanted` gets each domain's number
/// and value, and says what it makes of them, or `None` to go on looking. Whoever is found first
/// is taken; those whose numbers are nearest come first. It may get the same node again.
///
/// It waits for ever: for a deadline, `select` it with
/// [`sleep_until`](crate::System::sleep_until).
///
/// # Errors
/// As [`look`], and if the watch is refused or lost.
pub async fn find<X: Platform, T>(
    services: &Services<X>,
    path: &str,
    mut wanted: impl FnMut(DomId, &[u8]) -> Option<T>,
) -> Result<T, Error> {
    let mut lookout = Lookout::new(services, path).await?;
    loop {
        let again = services.system.now().saturating_add(AGAIN_NS);
        for domid in lookout.candidates(again).await? {
            let said = look(services, domid, path).await?;
            if let Some(found) = said.and_then(|said| wanted(domid, &said)) {
                return Ok(found);
            }
        }
    }
}

/// What a [`Lookout`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// This domain's node may have changed, come or gone.
    At(DomId),
    /// Any domain's node may have; so it is at first.
    Anywhere,
    /// Nothing has until the deadline.
    Nothing,
}

/// A watch on all domains' nodes of one path: what [`find`] is made of, for those who serve one
/// peer after the other.
pub struct Lookout<'a, X: Platform> {
    services: &'a Services<X>,
    watch: Watch<X>,
    path: &'a str,
}

impl<'a, X: Platform> Lookout<'a, X> {
    /// A lookout for nodes at this path below `/local/domain/<domid>`.
    ///
    /// # Errors
    /// Xenstore's, if it refuses the watch; ENODEV in dom0's place.
    pub async fn new(services: &'a Services<X>, path: &'a str) -> Result<Self, Error> {
        let store = services.store()?;
        let watch = persist(&services.system, || store.watch(ALL)).await?;
        Ok(Self { services, watch, path })
    }

    /// Waits for news until `deadline` (Xen's time in nanoseconds), or for ever. Our own node is
    /// none.
    ///
    /// # Errors
    /// Xenstore's, if the watch is lost.
    pub async fn news(&mut self, deadline: Option<u64>) -> Result<News, Error> {
        let services = self.services;
        let late = async {
            match deadline {
                Some(deadline) => services.system.sleep_until(deadline).await,
                None => pending().await,
            }
        };
        let mut late = pin!(late);
        loop {
            // The deadline first, and others their turn: domains may write faster than we read.
            let event = match select(late.as_mut(), self.watch.event()).await {
                Either::First(()) => return Ok(News::Nothing),
                Either::Second(event) => event?,
            };
            yield_now().await;
            match event {
                WatchEvent::Lost(_) => return Ok(News::Anywhere),
                WatchEvent::Changed(path) if path == ALL => return Ok(News::Anywhere),
                WatchEvent::Changed(path) => match DomainPath::parse(&path) {
                    Some(DomainPath { domid, rest })
                        if rest == self.path && domid != services.domid =>
                    {
                        return Ok(News::At(domid));
                    }
                    _ => {}
                },
            }
        }
    }

    /// Waits for news until `deadline` (Xen's time in nanoseconds), and says whose nodes are to be
    /// looked at now: one domain's, or all within reach, also when there are no news.
    ///
    /// # Errors
    /// As [`Lookout::news`].
    pub async fn candidates(
        &mut self,
        deadline: u64,
    ) -> Result<impl Iterator<Item = DomId> + use<X>, Error> {
        let one = match self.news(Some(deadline)).await? {
            News::At(domid) => Some(domid),
            News::Anywhere | News::Nothing => None,
        };
        let all = near(self.services.domid).filter(move |_| one.is_none());
        Ok(one.into_iter().chain(all))
    }
}

impl<X: Platform> fmt::Debug for Lookout<'_, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookout").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Other domids up to 128 away, the nearest to `own` first, in both directions.
fn near(own: DomId) -> impl Iterator<Item = DomId> {
    (1..=REACH)
        .flat_map(move |far| [own.get().checked_sub(far), own.get().checked_add(far)])
        .filter_map(|number| DomId::new(number?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_domains_come_first_in_both_directions() {
        let near = |own| near(DomId::new(own).unwrap()).map(DomId::get).collect::<Vec<_>>();
        assert_eq!(near(2)[..5], [1, 3, 0, 4, 5]);
        assert_eq!(near(300).len(), 256);
        assert_eq!(near(0x7fef)[..2], [0x7fee, 0x7fed]);
    }
}
