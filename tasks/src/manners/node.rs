// SPDX-License-Identifier: MIT OR Apache-2.0
//! A node that the toolstack writes words to, and that the guest empties.
//!
//! Reading a word and emptying the node is one transaction, so a word written in between is never
//! mistaken for an acknowledged one. If xenstore allows no transaction, the word still counts: the
//! node is then emptied without one, or not at all.

use alloc::vec::Vec;

use drivers::memory::Platform;
use drivers::xenstore::{Watch, XenStore};
use drivers::{Errno, Error, Services};
use embassy_futures::select::{Either, select};

use super::warn;

/// The pause before asking xenstore again: 100 ms.
const PAUSE_NS: u64 = 100_000_000;
/// Maximum number of transactions for one word.
const TRIES: u32 = 5;

/// The node, watched.
pub(super) struct Node<'a, X: Platform> {
    services: &'a Services<X>,
    store: &'a XenStore<X>,
    path: &'static str,
    watch: Watch<X>,
}

impl<'a, X: Platform> Node<'a, X> {
    /// Watches a node, as soon as xenstore allows it.
    ///
    /// # Errors
    /// EIO once the connection to xenstore is broken.
    pub(super) async fn watch(
        services: &'a Services<X>,
        store: &'a XenStore<X>,
        path: &'static str,
    ) -> Result<Self, Error> {
        let mut told = false;
        loop {
            match store.watch(path).await {
                Ok(watch) => return Ok(Self { services, store, path, watch }),
                Err(error) if error.errno() == Errno::EIO => return Err(error),
                Err(error) => {
                    if !told {
                        warn(path, &format_args!("{error}; what xl writes is not heard yet"));
                    }
                    told = true;
                    services.system.sleep_until(services.system.now() + PAUSE_NS).await;
                }
            }
        }
    }

    /// The next word, once it is acknowledged.
    ///
    /// # Errors
    /// Xenstore's, once the connection is broken.
    pub(super) async fn word(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            self.watch.event().await?;
            let word = self.take().await?;
            if !word.is_empty() {
                return Ok(word);
            }
        }
    }

    /// The new content of a node that the guest doesn't empty, once there is any.
    ///
    /// # Errors
    /// As [`Node::word`].
    pub(super) async fn changed(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            self.watch.event().await?;
            let value = loop {
                match self.store.read(self.path).await {
                    Err(Error::XenStore(Errno::ENOENT)) => break Vec::new(),
                    Err(_) => self.pause().await?,
                    Ok(value) => break value,
                }
            };
            if !value.is_empty() {
                return Ok(value);
            }
        }
    }

    /// Takes the node's content and empties the node; empty if there is none. Retries until
    /// xenstore answers.
    async fn take(&mut self) -> Result<Vec<u8>, Error> {
        for tries in 1.. {
            let taken = match self.take_whole().await {
                Err(error) if tries > TRIES => self.take_anyhow(error).await,
                taken => taken,
            };
            match taken {
                Ok(word) => return Ok(word),
                Err(Error::XenStore(Errno::ENOENT)) => break,
                Err(_) => self.pause().await?,
            }
        }
        Ok(Vec::new())
    }

    async fn take_whole(&self) -> Result<Vec<u8>, Error> {
        let transaction = self.store.transaction().await?;
        let word = transaction.read(self.path).await?;
        if !word.is_empty() {
            transaction.write(self.path, b"").await?;
            transaction.commit().await?;
        }
        Ok(word)
    }

    /// The word, whether or not it can be acknowledged.
    async fn take_anyhow(&self, refused: Error) -> Result<Vec<u8>, Error> {
        let word = self.store.read(self.path).await?;
        if !word.is_empty() && self.store.write(self.path, b"").await.is_err() {
            warn(self.path, &refused);
        }
        Ok(word)
    }

    async fn pause(&mut self) -> Result<(), Error> {
        let pause = self.services.system.sleep_until(self.services.system.now() + PAUSE_NS);
        // The watch fails once the connection is broken.
        match select(self.watch.event(), pause).await {
            Either::First(event) => event.map(drop),
            Either::Second(()) => Ok(()),
        }
    }
}
