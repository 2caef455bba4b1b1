//! Transactions: several requests that happen together or not at all.

use alloc::vec::Vec;
use core::ops::Deref;

use xen_sys::io::xs_wire::XsMessageType;

use super::message::{decimal, encode};
use super::state::State;
use super::{GARBAGE, Request, XenStore};
use crate::Error;
use crate::memory::Platform;

/// A transaction that was begun: requests made through it belong to it. Dropping it gives it up.
#[derive(Debug)]
pub struct Transaction<X: Platform> {
    store: XenStore<X>,
    /// The message that gives it up; empty once it's over.
    end: Vec<u8>,
}

impl<X: Platform> XenStore<X> {
    /// Begins a transaction.
    ///
    /// # Errors
    /// As [`XenStore::read`]; a quota on transactions is ENOSPC, EAGAIN or EDQUOT.
    pub async fn transaction(&self) -> Result<Transaction<X>, Error> {
        let kind = XsMessageType::TRANSACTION_START;
        let answer = Request::new(self.inner.clone(), kind, encode(kind, 0, &[b"\0"])).await?;
        let digits = answer.strip_suffix(b"\0").unwrap_or(&answer);
        let id = decimal(digits).filter(|id| *id > 0).ok_or(GARBAGE)?;
        let end = encode(XsMessageType::TRANSACTION_END, id, &[b"F\0"])?;
        self.inner.with(State::open)?;
        Ok(Transaction { store: XenStore { inner: self.inner.clone(), transaction: id }, end })
    }
}

impl<X: Platform> Transaction<X> {
    /// Carries it out.
    ///
    /// # Errors
    /// EAGAIN if somebody else has changed what it looked at or changed: all of it has to be done
    /// again. Otherwise as [`XenStore::write`].
    pub async fn commit(mut self) -> Result<(), Error> {
        let kind = XsMessageType::TRANSACTION_END;
        let message = encode(kind, self.store.transaction, &[b"T\0"]);
        let done = Request::new(self.store.inner.clone(), kind, message).await;
        self.end = Vec::new();
        done.map(drop)
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
        self.store.inner.with(State::close);
        if !end.is_empty() {
            self.store.post(XsMessageType::TRANSACTION_END, end);
        }
    }
}
