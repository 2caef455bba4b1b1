// SPDX-License-Identifier: MIT OR Apache-2.0
//! Watches: xenstore reports when something at or below a node changes.
//!
//! An event only says that there is something to look at, so an event that is already queued is not
//! queued again. A full queue drops and counts events, and tells the watcher to look at everything
//! again, so a flood costs no memory.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::future::poll_fn;
use core::task::{Poll, ready};

use xen_sys::io::xs_wire::XsMessageType;

use super::message::{digits, encode};
use super::state::State;
use super::{Request, XenStore, path};
use crate::Error;
use crate::memory::Platform;
use crate::turn::Turn;

/// The most events in a watch's queue.
const EVENTS: usize = 32;
/// The most bytes that their paths may take.
const BYTES: usize = 4096;

/// What a watch reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// This node may have changed, or been created or removed. The path is relative if the watch's
    /// is.
    Changed(String),
    /// This many events were dropped for lack of room: anything below the watch may have changed.
    Lost(u64),
}

/// The queued events of one watch.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) token: u32,
    events: VecDeque<String>,
    bytes: usize,
    lost: u64,
}

impl Queue {
    pub(super) const fn new(token: u32) -> Self {
        Self { token, events: VecDeque::new(), bytes: 0, lost: 0 }
    }

    /// Adds an event whose path is the first `len` bytes of `payload`.
    pub(super) fn push(&mut self, mut payload: Vec<u8>, len: usize) {
        payload.truncate(len);
        let Ok(path) = String::from_utf8(payload) else {
            return self.lose();
        };
        if self.events.contains(&path) {
            return;
        }
        let full = self.events.len() >= EVENTS || self.bytes + path.capacity() > BYTES;
        if full || self.events.try_reserve(1).is_err() {
            return self.lose();
        }
        self.bytes += path.capacity();
        self.events.push_back(path);
    }

    /// Counts a lost event.
    pub(super) fn lose(&mut self) {
        self.lost += 1;
    }

    pub(super) fn pop(&mut self) -> Option<WatchEvent> {
        if let Some(path) = self.events.pop_front() {
            self.bytes -= path.capacity();
            return Some(WatchEvent::Changed(path));
        }
        let lost = core::mem::take(&mut self.lost);
        (lost > 0).then_some(WatchEvent::Lost(lost))
    }
}

/// A watch. Dropping it ends it.
pub struct Watch<X: Platform> {
    store: XenStore<X>,
    token: u32,
    /// The message that ends it, with a place set aside; empty if the watch was never set.
    end: Vec<u8>,
    /// The turn of the task that takes events.
    turn: Turn,
}

impl<X: Platform> XenStore<X> {
    /// Watches a node and everything below it. The first event comes at once, with the path as
    /// given.
    ///
    /// # Errors
    /// As [`XenStore::read`]; E2BIG, ENOSPC or EDQUOT beyond a quota on watches.
    pub async fn watch(&self, path: &str) -> Result<Watch<X>, Error> {
        path::check(path)?;
        let token = self.inner.with(State::add_watch)?;
        let turn = Turn::new(EVENTS);
        let mut watch = Watch { store: self.clone(), token, end: Vec::new(), turn };
        let mut buffer = [0; 10];
        let parts: [&[u8]; 4] = [path.as_bytes(), b"\0", digits(token, &mut buffer), b"\0"];
        let end = encode(XsMessageType::UNWATCH, 0, &parts)?;
        let set = encode(XsMessageType::WATCH, 0, &parts)?;
        watch.end = Request::opening(self.inner.clone(), set, end).opened().await?;
        Ok(watch)
    }
}

impl<X: Platform> Watch<X> {
    /// Waits for an event.
    ///
    /// # Errors
    /// EIO once the ring is broken.
    pub fn event(&mut self) -> impl Future<Output = Result<WatchEvent, Error>> {
        poll_fn(|cx| {
            ready!(self.turn.poll_give_way(cx));
            let inner = &*self.store.inner;
            loop {
                // Before the look, so that nothing that comes after it is missed.
                let mark = inner.port.delivered();
                inner.waiters.register(cx.waker());
                inner.pump();
                if let Some(event) = inner.with(|state| state.next_event(self.token)) {
                    self.turn.count(1);
                    return Poll::Ready(event);
                }
                if inner.port.poll_beyond(mark, cx.waker()).is_pending() {
                    return Poll::Pending;
                }
            }
        })
    }
}

impl<X: Platform> Drop for Watch<X> {
    fn drop(&mut self) {
        let end = core::mem::take(&mut self.end);
        self.store.inner.with(|state| state.remove_watch(self.token));
        self.store.inner.send_aside(end);
    }
}

impl<X: Platform> fmt::Debug for Watch<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("token", &self.token).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut Queue, path: &str) {
        // Exactly as large as needed, like a received payload.
        let payload = [path.as_bytes(), b"\x001\0"].concat();
        queue.push(payload, path.len());
    }

    #[test]
    fn a_flood_costs_no_memory_and_is_reported() {
        const FLOOD: u64 = if cfg!(miri) { 300 } else { 10_000 };
        let mut queue = Queue::new(1);
        for event in 0..FLOOD {
            push(&mut queue, &alloc::format!("/local/domain/7/data/{event}"));
        }
        assert!(queue.events.len() <= EVENTS && queue.bytes <= BYTES);
        let kept = queue.events.len() as u64;
        for _ in 0..kept {
            assert!(matches!(queue.pop(), Some(WatchEvent::Changed(_))));
        }
        assert_eq!(queue.pop(), Some(WatchEvent::Lost(FLOOD - kept)));
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn long_paths_are_bounded_by_their_bytes() {
        let mut queue = Queue::new(1);
        let path = |event: char| String::from("data/") + &String::from(event).repeat(395);
        for event in 'a'..='z' {
            push(&mut queue, &path(event));
        }
        for event in 'a'..='j' {
            assert_eq!(queue.pop(), Some(WatchEvent::Changed(path(event))));
        }
        assert_eq!(queue.pop(), Some(WatchEvent::Lost(16)));
        assert_eq!(queue.pop(), None);
        // Only as much room as was freed is available again.
        for event in 'a'..='k' {
            push(&mut queue, &path(event));
        }
        assert_eq!(queue.pop(), Some(WatchEvent::Changed(path('a'))));
        for event in 'k'..='l' {
            push(&mut queue, &path(event));
        }
        for event in 'b'..='k' {
            assert_eq!(queue.pop(), Some(WatchEvent::Changed(path(event))));
        }
        assert_eq!(queue.pop(), Some(WatchEvent::Lost(2)));
    }

    #[test]
    fn events_that_exactly_fill_the_queue_are_kept() {
        let mut queue = Queue::new(1);
        for event in 0..EVENTS {
            // 5 bytes less: two for the number, three for the token.
            push(&mut queue, &alloc::format!("{event:02}{}", "x".repeat(BYTES / EVENTS - 5)));
        }
        assert_eq!((queue.events.len(), queue.bytes, queue.lost), (EVENTS, BYTES, 0));
    }

    #[test]
    fn a_queued_event_is_not_queued_twice() {
        let mut queue = Queue::new(1);
        for path in ["a", "b", "a", "a", "b"] {
            push(&mut queue, path);
        }
        assert_eq!(queue.pop(), Some(WatchEvent::Changed(String::from("a"))));
        assert_eq!(queue.pop(), Some(WatchEvent::Changed(String::from("b"))));
        assert_eq!(queue.pop(), None);
    }
}
