// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request as a future: issued when there is room, done when its answer has come.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::Connection;
use super::state::Answer;
use crate::Error;
use crate::memory::Platform;

/// A request to xenstore. Its output is the requested data, or empty for a change.
///
/// Nothing is sent before the first poll. After that, dropping it discards only the answer: the
/// request is still sent.
#[must_use = "a request is sent when it is awaited"]
pub struct Request<X: Platform> {
    inner: Arc<Connection<X>>,
    stage: Stage,
    /// The message that undoes the request: held here before it is issued, and again once it has
    /// succeeded.
    undo: Vec<u8>,
}

enum Stage {
    /// The message, or why there is none.
    New(Result<Vec<u8>, Error>),
    /// Its number.
    Issued(u32),
    Done,
}

impl<X: Platform> Request<X> {
    pub(super) fn new(inner: Arc<Connection<X>>, message: Result<Vec<u8>, Error>) -> Self {
        Self { inner, stage: Stage::New(message), undo: Vec::new() }
    }

    /// Creates a request that opens something at the daemon, which `undo` closes again. If the
    /// request is abandoned, `undo` is sent; otherwise the caller gets it, with a place set aside
    /// for it.
    pub(super) fn opening(inner: Arc<Connection<X>>, message: Vec<u8>, undo: Vec<u8>) -> Self {
        Self { inner, stage: Stage::New(Ok(message)), undo }
    }

    /// Wraps a request that is already issued.
    pub(super) fn issued(inner: Arc<Connection<X>>, id: u32) -> Self {
        Self { inner, stage: Stage::Issued(id), undo: Vec::new() }
    }

    /// Whether it is issued, so that xenstore may act on it.
    pub(super) fn is_issued(&self) -> bool {
        !matches!(self.stage, Stage::New(_))
    }

    /// Waits for success, and returns the message that undoes it.
    ///
    /// # Errors
    /// The answer's.
    pub(super) async fn opened(mut self) -> Result<Vec<u8>, Error> {
        (&mut self).await?;
        Ok(core::mem::take(&mut self.undo))
    }

    /// Advances as far as possible. Returns the answer if it has come.
    fn step(&mut self) -> Option<Answer> {
        self.inner.pump();
        let (stage, undo) = (&mut self.stage, &mut self.undo);
        self.inner.with(|state| match stage {
            Stage::New(Err(error)) => Some(Err(*error)),
            Stage::New(Ok(message)) => {
                if !state.has_room() {
                    return None;
                }
                match state.issue(core::mem::take(message), core::mem::take(undo)) {
                    Ok(id) => {
                        *stage = Stage::Issued(id);
                        None
                    }
                    Err(error) => Some(Err(error)),
                }
            }
            Stage::Issued(id) => {
                let (answer, undoes) = state.take(*id)?;
                *undo = undoes;
                Some(answer)
            }
            Stage::Done => None,
        })
    }
}

impl<X: Platform> Future for Request<X> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        loop {
            // Before the look, so that nothing that comes after it is missed.
            let mark = self.inner.port.delivered();
            self.inner.waiters.register(cx.waker());
            let was_new = matches!(self.stage, Stage::New(_));
            if let Some(answer) = self.step() {
                self.stage = Stage::Done;
                return Poll::Ready(answer);
            }
            if was_new && matches!(self.stage, Stage::Issued(_)) {
                continue;
            }
            if self.inner.port.poll_beyond(mark, cx.waker()).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<X: Platform> Drop for Request<X> {
    fn drop(&mut self) {
        if let Stage::Issued(id) = self.stage {
            self.inner.with(|state| state.abandon(id));
            self.inner.pump();
        }
    }
}

impl<X: Platform> fmt::Debug for Request<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}
