// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transactions: several requests that take effect together or not at all.

use alloc::vec::Vec;
use core::ops::Deref;

use xen_sys::io::xs_wire::XsMessageType;

use super::message::{self, encode};
use super::{Request, XenStore};
use crate::Error;
use crate::memory::Platform;

/// An open transaction. Requests made through it belong to it; dropping it aborts it.
#[derive(Debug)]
pub struct Transaction<X: Platform> {
    store: XenStore<X>,
    /// The message that aborts it, with a place set aside; empty once it is over.
    end: Vec<u8>,
}

impl<X: Platform> XenStore<X> {
    /// Begins a transaction.
    ///
    /// # Errors
    /// As [`XenStore::read`]; ENOSPC, EAGAIN or EDQUOT beyond a quota on transactions.
    pub async fn transaction(&self) -> Result<Transaction<X>, Error> {
        // The transaction's number is filled in once it is known.
        let end = encode(XsMessageType::TRANSACTION_END, 0, &[b"F\0"])?;
        let start = encode(XsMessageType::TRANSACTION_START, 0, &[b"\0"])?;
        let end = Request::opening(self.inner.clone(), start, end).opened().await?;
        let transaction = message::transaction(&end);
        Ok(Transaction { store: XenStore { inner: self.inner.clone(), transaction }, end })
    }
}

impl<X: Platform> Transaction<X> {
    /// Commits it. Neither the commit nor its result needs memory.
    ///
    /// # Errors
    /// EAGAIN if somebody else has changed what the transaction read or wrote: redo all of it.
    /// Otherwise what xenstore says, such as EDQUOT or ENOSPC beyond a quota; EIO once the ring is
    /// broken.
    pub async fn commit(mut self) -> Result<(), Error> {
        let mut end = core::mem::take(&mut self.end);
        message::set_commit(&mut end);
        let inner = &self.store.inner;
        let id = inner.with(|state| state.issue_aside(end, false))?;
        Request::issued(inner.clone(), id).await.map(drop)
    }
}

impl<X: Platform> Deref for Transaction<X> {
    type Target = XenStore<X>;

    fn deref(&self) -> &XenStore<X> {
        &self.store
    }
}

impl<X: Platform> Drop for Transaction<X> {
    fn drop(&mut self) {
        let end = core::mem::take(&mut self.end);
        self.store.inner.send_aside(end);
    }
}
