// SPDX-License-Identifier: MIT OR Apache-2.0
//! The connection's state: what to send, what is being received, and the answers so far.
//!
//! Nothing here waits. [`State::pump`] moves bytes as far as the rings allow; every waiting task
//! calls it. Each pass reads the daemon's indices once and checks them; our own are kept here and
//! never read back.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use xen_sys::io::xs_wire::{
    XENSTORE_PAYLOAD_MAX, XENSTORE_RING_SIZE, XenstoreDomainInterface, XsMessageType, XsdSockmsg,
};

use super::message::{self, HEADER};
use super::publication::Expected;
use super::watch::{Queue, WatchEvent};
use super::{BROKEN, GARBAGE};
use crate::Error;
use crate::boot::SharedPage;
use crate::memory::Memory;
use crate::words::{Word, consume, produce};

type RingPage<X> = SharedPage<X, XenstoreDomainInterface>;

/// The most requests that may be unanswered at a time. Messages set aside may exceed it. Answers
/// not yet fetched don't count: each belongs to a live [`super::Request`], whose owner bounds them.
const IN_FLIGHT: usize = 16;
/// While this many requests are pending, none is added whose answer nobody awaits; otherwise they
/// would pile up without bound if the daemon stopped.
const POSTED: usize = 64;
/// Bytes of an answer that are received even without memory for the rest: enough for an errno's
/// name or a transaction's number.
const SHORT: usize = 16;

pub(super) type Answer = Result<Vec<u8>, Error>;

#[derive(Debug)]
pub(super) struct State {
    broken: bool,
    /// Our free-running indices.
    req_prod: u32,
    rsp_cons: u32,
    /// In the order of sending.
    requests: Vec<Pending>,
    last_id: u32,
    incoming: Incoming,
    pub(super) watches: Vec<Queue>,
    last_token: u32,
    /// Published nodes whose readers are awaited.
    pub(super) expected: Vec<Expected>,
    pub(super) last_expected: u64,
    /// The number of places set aside in `requests`, each for a message that must be sent even if
    /// memory runs out.
    places: usize,
    /// Whether something that a task may wait for has come since [`State::take_news`].
    news: bool,
}

/// A pending request.
#[derive(Debug)]
struct Pending {
    id: u32,
    kind: XsMessageType,
    /// Empty once it is sent.
    message: Vec<u8>,
    sent: usize,
    answer: Option<Answer>,
    /// Whether nobody waits for the answer any more.
    abandoned: bool,
    /// If the request opens something at the daemon, the message that closes it; otherwise empty.
    undo: Vec<u8>,
}

/// The message being received.
#[derive(Debug, Default)]
struct Incoming {
    header: [u8; HEADER],
    /// Bytes of header and payload received so far.
    have: usize,
    payload: Vec<u8>,
    /// No memory for the payload: all but its first bytes are skipped.
    passed_over: bool,
    short: [u8; SHORT],
}

impl Pending {
    /// Interprets an answer. Only requested data needs memory: the success or refusal of a change
    /// is recognized without it.
    fn judge(&mut self, kind: XsMessageType, payload: Answer, short: &[u8]) -> Answer {
        if kind == XsMessageType::ERROR {
            return Err(message::refusal(short));
        }
        if kind != self.kind {
            return Err(GARBAGE);
        }
        match kind {
            XsMessageType::READ | XsMessageType::DIRECTORY | XsMessageType::GET_PERMS => payload,
            XsMessageType::TRANSACTION_START => {
                let digits = short.strip_suffix(b"\0").unwrap_or(short);
                let id = message::decimal(digits).filter(|id| *id > 0).ok_or(GARBAGE)?;
                message::set_transaction(&mut self.undo, id);
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }
}

impl State {
    pub(super) fn new<X: Memory>(page: &RingPage<X>) -> Self {
        let req_prod = page.word(|ring| &ring.req_prod).load(Ordering::Relaxed);
        let rsp_cons = page.word(|ring| &ring.rsp_cons).load(Ordering::Relaxed);
        Self::at(req_prod, rsp_cons)
    }

    /// Creates a state with these indices of ours.
    fn at(req_prod: u32, rsp_cons: u32) -> Self {
        Self {
            broken: false,
            req_prod,
            rsp_cons,
            requests: Vec::new(),
            last_id: 0,
            incoming: Incoming::default(),
            watches: Vec::new(),
            last_token: 0,
            expected: Vec::new(),
            last_expected: 0,
            places: 0,
            news: false,
        }
    }

    /// Whether one more request may be issued. Always true once the ring is broken, since every
    /// request then has an answer.
    pub(super) fn has_room(&self) -> bool {
        self.requests.iter().filter(|request| request.answer.is_none()).count() < IN_FLIGHT
    }

    /// Issues a request and returns its number. `undo` is the message that undoes it, or empty.
    ///
    /// # Errors
    /// ENOMEM; EIO once the ring is broken.
    pub(super) fn issue(&mut self, message: Vec<u8>, undo: Vec<u8>) -> Result<u32, Error> {
        if self.broken {
            return Err(BROKEN);
        }
        self.requests.try_reserve(self.places + 1).map_err(|_| Error::NO_MEMORY)?;
        Ok(self.push(message, undo, false))
    }

    /// Issues a request whose answer nobody awaits, beyond [`IN_FLIGHT`] if need be. If memory runs
    /// out, or while [`POSTED`] requests are pending, it is dropped.
    pub(super) fn post(&mut self, message: Vec<u8>) {
        let room = self.requests.len() < POSTED;
        if room && !self.broken && self.requests.try_reserve(self.places + 1).is_ok() {
            self.push(message, Vec::new(), true);
        }
    }

    /// Sets aside a place for a message that must be sent later.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn set_aside(&mut self) -> Result<(), Error> {
        self.requests.try_reserve(self.places + 1).map_err(|_| Error::NO_MEMORY)?;
        self.places += 1;
        Ok(())
    }

    /// Gives back a place that was set aside.
    pub(super) fn give_place(&mut self) {
        self.places -= 1;
    }

    /// Issues a request in a place that was set aside, beyond [`IN_FLIGHT`] if need be, and returns
    /// its number. `abandoned` means that nobody waits for the answer.
    ///
    /// # Errors
    /// EIO once the ring is broken.
    pub(super) fn issue_aside(&mut self, message: Vec<u8>, abandoned: bool) -> Result<u32, Error> {
        self.give_place();
        if self.broken { Err(BROKEN) } else { Ok(self.push(message, Vec::new(), abandoned)) }
    }

    /// Adds a request; the caller has made room for it.
    fn push(&mut self, mut message: Vec<u8>, undo: Vec<u8>, abandoned: bool) -> u32 {
        let id = loop {
            // Watch events have number 0. A long-lived request may still use its number when the
            // count wraps.
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.requests.iter().any(|request| request.id == self.last_id) {
                break self.last_id;
            }
        };
        message::number(&mut message, id);
        let kind = message::kind(&message);
        let pending = Pending { id, kind, message, sent: 0, answer: None, abandoned, undo };
        self.requests.push(pending);
        id
    }

    /// Takes the answer to a request, if it has come. If the request succeeded, also returns the
    /// message that undoes it, which inherits the request's place.
    pub(super) fn take(&mut self, id: u32) -> Option<(Answer, Vec<u8>)> {
        let at = self.requests.iter().position(|request| request.id == id)?;
        self.requests.get(at)?.answer.as_ref()?;
        let Pending { answer, mut undo, .. } = self.requests.remove(at);
        let answer = answer?;
        if answer.is_err() {
            undo = Vec::new();
        }
        self.places += usize::from(!undo.is_empty());
        Some((answer, undo))
    }

    /// Abandons a request. It is still sent, since half a message would break the connection;
    /// whatever it opens is closed again.
    pub(super) fn abandon(&mut self, id: u32) {
        let Some(request) = self.requests.iter_mut().find(|request| request.id == id) else {
            return;
        };
        request.abandoned = true;
        if let Some((_, undo)) = self.take(id)
            && !undo.is_empty()
        {
            let _ = self.issue_aside(undo, true);
        }
    }

    /// Adds a queue for a new watch and returns its token.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn add_watch(&mut self) -> Result<u32, Error> {
        self.watches.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
        loop {
            self.last_token = self.last_token.wrapping_add(1);
            if !self.watches.iter().any(|queue| queue.token == self.last_token) {
                break;
            }
        }
        self.watches.push(Queue::new(self.last_token));
        Ok(self.last_token)
    }

    pub(super) fn remove_watch(&mut self, token: u32) {
        self.watches.retain(|queue| queue.token != token);
    }

    /// Returns the next event of a watch; EIO once the ring is broken and none is left.
    pub(super) fn next_event(&mut self, token: u32) -> Option<Result<WatchEvent, Error>> {
        let queue = self.watches.iter_mut().find(|queue| queue.token == token);
        let event = queue.and_then(Queue::pop).map(Ok);
        event.or(self.broken.then_some(Err(BROKEN)))
    }

    /// Returns and clears the news flag: whether to wake the waiters, after unlocking.
    pub(super) fn take_news(&mut self) -> bool {
        core::mem::take(&mut self.news)
    }

    /// Moves what can be moved. Returns whether the daemon must be notified.
    pub(super) fn pump<X: Memory>(&mut self, page: &RingPage<X>) -> bool {
        if self.broken {
            return false;
        }
        // The daemon's indices are read only here.
        let cons = page.word(|ring| &ring.req_cons).load(Ordering::Acquire);
        let prod = page.word(|ring| &ring.rsp_prod).load(Ordering::Acquire);
        let unread = self.req_prod.wrapping_sub(cons) as usize;
        let ready = prod.wrapping_sub(self.rsp_cons) as usize;
        if unread > XENSTORE_RING_SIZE || ready > XENSTORE_RING_SIZE {
            self.break_off();
            return false;
        }
        let received = self.receive(page, ready);
        let sent = self.send(page, XENSTORE_RING_SIZE - unread);
        received || sent
    }

    fn send<X: Memory>(&mut self, page: &RingPage<X>, mut room: usize) -> bool {
        let index = page.word(|ring| &ring.req_prod);
        let place = |at| page.word(|ring| &ring.req[at as usize % XENSTORE_RING_SIZE]);
        let before = self.req_prod;
        for request in self.requests.iter_mut().filter(|request| !request.message.is_empty()) {
            let rest = request.message.get(request.sent..).unwrap_or_default();
            let part = rest.get(..room).unwrap_or(rest);
            self.req_prod = produce(part.iter().copied(), self.req_prod, place, &index);
            (request.sent, room) = (request.sent + part.len(), room - part.len());
            if request.sent < request.message.len() {
                break;
            }
            request.message = Vec::new();
        }
        self.req_prod != before
    }

    fn receive<X: Memory>(&mut self, page: &RingPage<X>, ready: usize) -> bool {
        let index = page.word(|ring| &ring.rsp_cons);
        let place = |at| page.word(|ring| &ring.rsp[at as usize % XENSTORE_RING_SIZE]);
        self.rsp_cons = consume(ready, self.rsp_cons, place, &index, |byte| self.take_byte(byte));
        ready > 0 && !self.broken
    }

    fn take_byte(&mut self, byte: u8) {
        if self.broken {
            return;
        }
        let incoming = &mut self.incoming;
        incoming.have += 1;
        if incoming.have <= HEADER {
            incoming.header[incoming.have - 1] = byte;
        } else {
            if let Some(place) = incoming.short.get_mut(incoming.have - HEADER - 1) {
                *place = byte;
            }
            if !incoming.passed_over {
                incoming.payload.push(byte);
            }
        }
        if incoming.have < HEADER {
            return;
        }
        let header = message::decode(&incoming.header);
        let len = header.len as usize;
        if len > XENSTORE_PAYLOAD_MAX {
            self.break_off();
            return;
        }
        if incoming.have == HEADER {
            incoming.passed_over = incoming.payload.try_reserve_exact(len).is_err();
        }
        if incoming.have == HEADER + len {
            let Incoming { payload, passed_over, short, .. } = core::mem::take(incoming);
            let payload = if passed_over { Err(Error::NO_MEMORY) } else { Ok(payload) };
            self.deliver(&header, payload, &short[..len.min(SHORT)]);
        }
    }

    /// Delivers a received message. `payload` is an error if there was no memory for it; `short` is
    /// its first bytes in any case.
    fn deliver(&mut self, header: &XsdSockmsg, payload: Answer, short: &[u8]) {
        let asked = |one: &Pending| {
            one.id == header.req_id && one.message.is_empty() && one.answer.is_none()
        };
        if header.type_ == XsMessageType::WATCH_EVENT {
            self.deliver_event(payload);
        } else if let Some(request) = self.requests.iter_mut().find(|one| asked(one)) {
            request.answer = Some(request.judge(header.type_, payload, short));
            if request.abandoned {
                let id = request.id;
                self.abandon(id);
            }
        }
        // An answer that matches no request is dropped.
        self.news = true;
    }

    fn deliver_event(&mut self, payload: Answer) {
        match payload {
            Ok(payload) => {
                if let Some((path, token)) = message::watch_event(&payload)
                    && let Some(queue) = self.watches.iter_mut().find(|one| one.token == token)
                {
                    queue.push(payload, path);
                }
            }
            // It is not known whose event it was.
            Err(_) => self.watches.iter_mut().for_each(Queue::lose),
        }
    }

    /// Ends the connection: every waiter and every later request gets the same error.
    fn break_off(&mut self) {
        self.broken = true;
        self.requests.retain(|request| !request.abandoned);
        for request in &mut self.requests {
            request.message = Vec::new();
            request.answer.get_or_insert(Err(BROKEN));
        }
        self.expected = Vec::new();
        self.news = true;
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::encode;
    use super::*;

    fn read() -> Vec<u8> {
        encode(XsMessageType::READ, 0, &[b"a\0"]).unwrap()
    }

    #[test]
    fn no_request_takes_a_place_set_aside_for_another() {
        let issue: fn(&mut State) -> bool = |state| state.issue(read(), Vec::new()).is_ok();
        let post = |state: &mut State| {
            state.post(read());
            true
        };
        for request in [issue, post, |state| state.set_aside().is_ok()] {
            for places in 0..20 {
                let mut state = State::at(0, 0);
                (0..places).for_each(|_| state.set_aside().unwrap());
                assert!(request(&mut state));
                assert!(state.requests.capacity() - state.requests.len() >= state.places);
            }
        }
    }

    #[test]
    fn a_broken_ring_keeps_no_requests() {
        let mut state = State::at(0, 0);
        state.break_off();
        state.post(read());
        assert_eq!(state.issue(read(), Vec::new()), Err(BROKEN));
        assert!(state.requests.is_empty());
    }

    #[test]
    fn numbers_and_tokens_that_wrap_skip_those_in_use() {
        let mut state = State::at(0, 0);
        let kept = [state.issue(read(), Vec::new()).unwrap(), state.add_watch().unwrap()];
        assert_eq!(kept, [1, 1]);
        (state.last_id, state.last_token) = (u32::MAX, 0);
        assert_eq!(state.issue(read(), Vec::new()), Ok(2));
        assert_eq!(state.add_watch(), Ok(2));
    }
}
