// SPDX-License-Identifier: MIT OR Apache-2.0
//! How domains that know nothing of each other meet through xenstore.
//!
//! A domain that wants to be found [publishes](publish) a node in its own part of the tree, such as
//! `data/vault`; another [finds](find) it by looking for that path below other domains. What a
//! domain publishes can name a peer, so that an offer meant for one domain is taken by that one.
//!
//! A guest isn't allowed to list the domains. So a watch on `/local/domain` reports every node that
//! becomes readable from now on, and nodes that were there before are looked for below the 256
//! domids nearest to our own. All requests are retried while xenstore is busy.
//!
//! Any domain may publish anything at any path: what is found is a claim, to be checked like any
//! input. This module trusts only the node's owner, for which xenstore vouches.
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
//!     // Dropping this value removes the node.
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

/// The watched path.
const ALL: &str = "/local/domain";
/// How far from its own domid a guest looks for domains that were there before it.
const REACH: u16 = 128;
/// After how long without news [`find`] looks at all domains again: 3 s. It should not be
/// necessary, but a daemon might forget a watch.
const AGAIN_NS: u64 = 3_000_000_000;

/// Publishes a node of our own for `reader`, and keeps it until the [`Publication`] is dropped. A
/// relative `path` starts at our own `/local/domain/<domid>`, where a guest may write below
/// `data/`.
///
/// # Errors
/// What xenstore says, such as EACCES, or EDQUOT or ENOSPC beyond a quota; EINVAL or E2BIG for a
/// path that is not one or is too long; EIO once the ring is broken; EAGAIN and ENOMEM only after 5
/// tries; ENODEV for a guest booted as dom0.
pub async fn publish<X: Platform>(
    services: &Services<X>,
    path: &str,
    value: &[u8],
    reader: Reader,
) -> Result<Publication<X>, Error> {
    let store = services.store()?;
    persist(&services.system, &|| store.publish(path, value, reader)).await
}

/// Returns the value of another domain's node, at this path below its `/local/domain/<domid>`;
/// `None` if there is no such node or we may not read it.
///
/// # Errors
/// What xenstore says, except ENOENT and EACCES; EINVAL or E2BIG for a path that is not one or is
/// too long; EIO once the ring is broken; EAGAIN and ENOMEM only after 5 tries; ENODEV for a guest
/// booted as dom0.
pub async fn look<X: Platform>(
    services: &Services<X>,
    domid: DomId,
    path: &str,
) -> Result<Option<Vec<u8>>, Error> {
    let store = services.store()?;
    let node = DomainPath { domid, rest: path }.absolute()?;
    match persist(&services.system, &|| store.read(&node)).await {
        Ok(value) => Ok(Some(value)),
        Err(Error::XenStore(Errno::EACCES | Errno::ENOENT)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks once at `path` below every domain within reach but our own, nearest domids first; `seen`
/// gets each domain that has such a node which we may read, and the value.
///
/// # Errors
/// As [`look`].
pub async fn survey<X: Platform>(
    services: &Services<X>,
    path: &str,
    mut seen: impl FnMut(DomId, &[u8]),
) -> Result<(), Error> {
    for domid in near(services.domid) {
        if let Some(said) = look(services, domid, path).await? {
            seen(domid, &said);
        }
    }
    Ok(())
}

/// Waits for a domain that publishes something wanted at `path`. `wanted` gets a domain's number
/// and value, and returns what `find` will return, or `None` to go on looking. The first match
/// wins; of the domains that are already there, the nearest domids come first. `wanted` may see the
/// same node again.
///
/// It waits forever; for a deadline, `select` it with [`sleep_until`](crate::System::sleep_until).
///
/// # Errors
/// As [`look`]; also what xenstore says if it refuses the watch.
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

/// What a [`Lookout`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// This domain's node may have changed, appeared or disappeared.
    At(DomId),
    /// Any domain's node may have changed; always the first news.
    Anywhere,
    /// Nothing changed before the deadline.
    Nothing,
}

/// A watch on all domains' nodes at one path. [`find`] uses it; use it directly to serve one peer
/// after another.
pub struct Lookout<'a, X: Platform> {
    services: &'a Services<X>,
    watch: Watch<X>,
    path: &'a str,
}

impl<'a, X: Platform> Lookout<'a, X> {
    /// Starts a lookout for nodes at this path below `/local/domain/<domid>`.
    ///
    /// # Errors
    /// What xenstore says if it refuses the watch; ENODEV for a guest booted as dom0.
    pub async fn new(services: &'a Services<X>, path: &'a str) -> Result<Self, Error> {
        let store = services.store()?;
        let watch = persist(&services.system, &|| store.watch(ALL)).await?;
        Ok(Self { services, watch, path })
    }

    /// Waits for news until `deadline` (Xen's system time in nanoseconds), or forever. Changes of
    /// our own node are not reported.
    ///
    /// # Errors
    /// EIO once the ring is broken.
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
            // Poll the deadline first, and yield to other tasks: domains may write faster than we
            // read.
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

    /// Waits for news until `deadline` (Xen's system time in nanoseconds), and returns the domains
    /// whose nodes to look at: the one that changed, or all within reach if any may have changed or
    /// no news came.
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

/// Whether peers may agree on this name: 1 to 32 ASCII letters, digits, `-` and `_`, so that it can
/// be part of a xenstore path.
pub fn is_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=32).contains(&name.len()) && name.bytes().all(known)
}

/// Returns the domids up to 128 away from `own`, nearest first, in both directions.
fn near(own: DomId) -> impl Iterator<Item = DomId> {
    (2..2 * (REACH + 1)).filter_map(move |step| {
        let far = step / 2;
        let below = step % 2 == 0;
        let number = if below { own.get().checked_sub(far) } else { own.get().checked_add(far) };
        DomId::new(number?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_32_letters_digits_dashes_and_underscores() {
        let longest = "n".repeat(32);
        for name in ["a", "Z9", "-", "_", "a-b_c", &longest] {
            assert!(is_name(name), "{name:?}");
        }
        let longer = "n".repeat(33);
        for name in ["", "a b", "a/b", "\u{e4}", "a\0", &longer] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn the_nearest_domains_come_first_in_both_directions() {
        let near = |own| near(DomId::new(own).unwrap()).map(DomId::get).collect::<Vec<_>>();
        assert_eq!(near(2)[..5], [1, 3, 0, 4, 5]);
        assert_eq!(near(300).len(), 256);
        assert_eq!(near(0x7fef)[..2], [0x7fee, 0x7fed]);
    }
}
