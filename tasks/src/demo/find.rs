//! How granter and mapper find each other through xenstore.
//!
//! Each has one node below its own `data/` that all domains may read. Values are decimal numbers of
//! 32 bits, separated by single blanks; the first is [`VERSION`].
//!
//! * [`GRANTER`]: `1 free`, or an offer, `1 <mapper's domid> <call> <gref> <port>`: the reference
//!   of the control page and an unbound port for that mapper.
//! * [`MAPPER`]: a call, `1 <granter's domid> <call>`, where `<call>` tells one call from the next.
//!   The offer that answers it repeats the number.
//!
//! One watch on `/local/domain` fires whenever such a node becomes readable. Nothing in a node of
//! another form is used.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use drivers::memory::Platform;
use drivers::xenstore::{DomainPath, Publication, WatchEvent, XenStore};
use drivers::{DomId, Error, Services};
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;

use super::stop::Trouble;
use crate::text::Text;
use crate::xenstore::{self, again, persist, publish};

/// The granter's node, relative to its `/local/domain/<domid>`.
pub const GRANTER: &str = "data/grantkit/demo/granter";
/// The mapper's node, relative likewise.
pub const MAPPER: &str = "data/grantkit/demo/mapper";
/// The version of the protocol, the first number of every node.
pub const VERSION: u32 = 1;
/// How far from its own domid a mapper looks for granters that were there before it.
const REACH: u16 = 128;

/// This domain's xenstore.
///
/// # Errors
/// ENODEV in dom0's place, where there is none.
pub fn store<X: Platform>(services: &Services<X>) -> Result<&XenStore<X>, Trouble> {
    xenstore::store(services).map_err(|error| Trouble { at: "demo", error })
}

/// Other domids up to 128 away, the nearest to `own` first, in both directions.
pub fn near(own: DomId) -> impl Iterator<Item = DomId> {
    (1..=REACH)
        .flat_map(move |far| [own.get().checked_sub(far), own.get().checked_add(far)])
        .filter_map(|number| DomId::new(number?))
}

/// Exactly `N` decimal numbers of 32 bits, each after one blank; `None` for anything else.
pub fn numbers<const N: usize>(value: &[u8]) -> Option<[u32; N]> {
    let mut words = str::from_utf8(value).ok()?.split(' ');
    let mut numbers = [0; N];
    for number in &mut numbers {
        let word = words.next()?;
        *number = word.parse().ok().filter(|_| !word.starts_with('+'))?;
    }
    words.next().is_none().then_some(numbers)
}

/// A node of ours that others read. Dropping it removes it.
#[derive(Debug)]
pub struct Post<'a, X: Platform> {
    services: &'a Services<X>,
    store: &'a XenStore<X>,
    path: &'static str,
    /// Once it's written.
    node: Option<Publication<X>>,
}

impl<'a, X: Platform> Post<'a, X> {
    /// A node of ours. Nothing is written yet.
    pub fn new(services: &'a Services<X>, store: &'a XenStore<X>, path: &'static str) -> Self {
        Self { services, store, path, node: None }
    }

    /// Writes the node's value, for all to read.
    ///
    /// # Errors
    /// Xenstore's, with the path; ENOMEM.
    pub async fn say(&mut self, words: fmt::Arguments<'_>) -> Result<(), Trouble> {
        let told = self.publish(words).await;
        told.map_err(|error| Trouble { at: self.path, error })
    }

    async fn publish(&mut self, words: fmt::Arguments<'_>) -> Result<(), Error> {
        let mut value = Text::new();
        value.write_fmt(words).map_err(|_| Error::NO_MEMORY)?;
        let value = value.as_str().as_bytes();
        match &self.node {
            Some(node) => persist(&self.services.system, || node.write(value)).await,
            None => {
                let node = publish(self.services, self.store, self.path, value).await?;
                self.node = Some(node);
                Ok(())
            }
        }
    }
}

/// The value of another domain's node; `None` if there is none that we may read.
///
/// # Errors
/// Xenstore's other errors, with the path.
pub async fn look<X: Platform>(
    services: &Services<X>,
    store: &XenStore<X>,
    domid: DomId,
    path: &'static str,
) -> Result<Option<Vec<u8>>, Trouble> {
    let said = xenstore::look(&services.system, store, domid, path).await;
    said.map_err(|error| Trouble { at: path, error })
}

/// What the watch on all domains has told.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// This domain's node may have changed.
    At(DomId),
    /// Any domain's node may have changed.
    Anywhere,
    /// Nothing changed before the deadline.
    Nothing,
}

/// The watch on all domains.
#[derive(Debug)]
pub struct Lookout<'a, X: Platform> {
    services: &'a Services<X>,
    watch: drivers::xenstore::Watch<X>,
    path: &'static str,
}

impl<'a, X: Platform> Lookout<'a, X> {
    /// A lookout for nodes of this path.
    ///
    /// # Errors
    /// Xenstore's, if it refuses the watch.
    pub async fn new(
        services: &'a Services<X>,
        store: &XenStore<X>,
        path: &'static str,
    ) -> Result<Self, Trouble> {
        let mut tries = 0;
        loop {
            tries += 1;
            match store.watch(ALL).await {
                Ok(watch) => return Ok(Self { services, watch, path }),
                Err(error) if !again(&services.system, error, tries).await => {
                    return Err(Trouble { at: ALL, error });
                }
                Err(_) => {}
            }
        }
    }

    /// Waits for news until `deadline` (Xen's time in nanoseconds), or for ever.
    ///
    /// # Errors
    /// Xenstore's, if the watch is lost.
    pub async fn news(&mut self, deadline: Option<u64>) -> Result<News, Trouble> {
        let services = self.services;
        let late = async {
            match deadline {
                Some(deadline) => services.system.sleep_until(deadline).await,
                None => core::future::pending().await,
            }
        };
        let mut late = core::pin::pin!(late);
        loop {
            // The deadline first, and others their turn: domains may write faster than we read.
            let event = match select(late.as_mut(), self.watch.event()).await {
                Either::First(()) => return Ok(News::Nothing),
                Either::Second(event) => event.map_err(|error| Trouble { at: ALL, error })?,
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
}

/// The path that the lookout watches.
const ALL: &str = "/local/domain";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_says_anything_else_is_nonsense() {
        assert_eq!(numbers::<3>(b"1 2 4294967295"), Some([1, 2, u32::MAX]));
        for nonsense in [
            &b""[..],
            b"1 2",
            b"1 2 3 4",
            b"1 2 3 ",
            b" 1 2 3",
            b"1  2 3",
            b"1 2 4294967296",
            b"1 +2 3",
            b"1 -2 3",
            b"1 2 x",
            b"1 2 \xff",
            b"1 2 3\0",
            &[b'9'; 4000],
        ] {
            assert_eq!(numbers::<3>(nonsense), None, "{nonsense:?}");
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
