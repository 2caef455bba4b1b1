//! The connection's state: what is to be sent, what is being received, what was answered.
//!
//! Nothing here waits. [`State::pump`] moves bytes as far as the rings let it, and is called by
//! everybody who waits. The daemon's indices are read once in each pass and checked; our own are
//! kept here and never read back.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use xen_sys::io::xs_wire::{
    XENSTORE_PAYLOAD_MAX, XENSTORE_RING_SIZE, XenstoreDomainInterface, XsMessageType, XsdSockmsg,
};

use super::message::{self, HEADER, encode};
use super::watch::{Queue, WatchEvent};
use super::{BROKEN, GARBAGE};
use crate::Error;
use crate::boot::SharedPage;
use crate::memory::Memory;
use crate::words::{Word, consume, produce};

type RingPage<X> = SharedPage<X, XenstoreDomainInterface>;

/// Requests that are under way at once, answered ones that nobody fetched yet included.
const IN_FLIGHT: usize = 16;

pub(super) type Answer = Result<Vec<u8>, Error>;

#[derive(Debug)]
pub(super) struct State {
    broken: bool,
    /// Our indices, running free.
    req_prod: u32,
    rsp_cons: u32,
    /// In the order in which they are sent.
    requests: VecDeque<Pending>,
    last_id: u32,
    incoming: Incoming,
    pub(super) watches: Vec<Queue>,
    last_token: u32,
    /// Watches and transactions that are open: each may post one more request when it's dropped.
    open: usize,
    /// Something that somebody may wait for has come since [`State::take_news`].
    news: bool,
}

/// A request under way.
#[derive(Debug)]
struct Pending {
    id: u32,
    kind: XsMessageType,
    /// Empty once it's sent.
    message: Vec<u8>,
    sent: usize,
    answer: Option<Answer>,
    /// Nobody waits for the answer.
    abandoned: bool,
}

/// The message that is being received.
#[derive(Debug, Default)]
struct Incoming {
    header: [u8; HEADER],
    /// Bytes of header and payload received.
    have: usize,
    payload: Vec<u8>,
    /// No memory for the payload: it's passed over.
    passed_over: bool,
}

impl State {
    pub(super) fn new<X: Memory>(page: &RingPage<X>) -> Self {
        Self {
            broken: false,
            req_prod: page.word(|ring| &ring.req_prod).load(Ordering::Relaxed),
            rsp_cons: page.word(|ring| &ring.rsp_cons).load(Ordering::Relaxed),
            requests: VecDeque::new(),
            last_id: 0,
            incoming: Incoming::default(),
            watches: Vec::new(),
            last_token: 0,
            open: 0,
            news: false,
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether one more request may be issued.
    pub(super) fn has_room(&self) -> bool {
        self.requests.len() < IN_FLIGHT
    }

    /// Issues a request; its number.
    ///
    /// # Errors
    /// ENOMEM; EIO once the ring is broken.
    pub(super) fn issue(&mut self, kind: XsMessageType, message: Vec<u8>) -> Result<u32, Error> {
        if self.broken {
            return Err(BROKEN);
        }
        self.requests.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
        Ok(self.push(kind, message, false))
    }

    /// Issues a request whose answer nobody waits for, beyond [`IN_FLIGHT`] if need be.
    pub(super) fn post(&mut self, kind: XsMessageType, message: Vec<u8>) {
        if !self.broken && self.requests.try_reserve(1).is_ok() {
            self.push(kind, message, true);
        }
    }

    fn push(&mut self, kind: XsMessageType, mut message: Vec<u8>, abandoned: bool) -> u32 {
        // Watch events have number 0.
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let id = self.last_id;
        message::number(&mut message, id);
        self.requests.push_back(Pending { id, kind, message, sent: 0, answer: None, abandoned });
        id
    }

    /// Takes the answer to a request, if it has come.
    pub(super) fn take(&mut self, id: u32) -> Option<Answer> {
        let at = self.requests.iter().position(|request| request.id == id)?;
        self.requests[at].answer.as_ref()?;
        let done = self.requests.remove(at)?;
        self.news = true;
        done.answer
    }

    /// Nobody waits for a request any more. It's sent all the same: half a message would be the
    /// end of the connection.
    pub(super) fn abandon(&mut self, id: u32) {
        let Some(request) = self.requests.iter_mut().find(|request| request.id == id) else {
            return;
        };
        request.abandoned = true;
        let kind = request.kind;
        if let Some(answer) = self.take(id) {
            self.close_unwanted(kind, &answer);
        }
    }

    /// A transaction that was started for nobody would count against the domain's quota.
    fn close_unwanted(&mut self, kind: XsMessageType, answer: &Answer) {
        if kind != XsMessageType::TRANSACTION_START {
            return;
        }
        if let Ok(payload) = answer
            && let Some(id) = message::decimal(payload.strip_suffix(b"\0").unwrap_or(payload))
            && let Ok(message) = encode(XsMessageType::TRANSACTION_END, id, &[b"F\0"])
        {
            self.post(XsMessageType::TRANSACTION_END, message);
        }
    }

    /// Makes room for what an object posts when it's dropped.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn open(&mut self) -> Result<(), Error> {
        let room = IN_FLIGHT + self.open + 2;
        let more = room.saturating_sub(self.requests.len());
        self.requests.try_reserve(more).map_err(|_| Error::NO_MEMORY)?;
        self.open += 1;
        Ok(())
    }

    /// The object is gone.
    pub(super) fn close(&mut self) {
        self.open -= 1;
    }

    /// A queue for a new watch; its token.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn add_watch(&mut self) -> Result<u32, Error> {
        self.watches.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
        self.open()?;
        self.last_token = self.last_token.wrapping_add(1);
        self.watches.push(Queue::new(self.last_token));
        Ok(self.last_token)
    }

    pub(super) fn remove_watch(&mut self, token: u32) {
        self.watches.retain(|queue| queue.token != token);
        self.close();
    }

    /// The next event of a watch; EIO once the ring is broken and none is left.
    pub(super) fn next_event(&mut self, token: u32) -> Option<Result<WatchEvent, Error>> {
        let queue = self.watches.iter_mut().find(|queue| queue.token == token);
        let event = queue.and_then(Queue::pop).map(Ok);
        event.or(self.broken.then_some(Err(BROKEN)))
    }

    /// Whether those who wait are to be woken, which is not done under the lock.
    pub(super) fn take_news(&mut self) -> bool {
        core::mem::take(&mut self.news)
    }

    /// Moves what can be moved; whether the daemon has to be told.
    pub(super) fn pump<X: Memory>(&mut self, page: &RingPage<X>) -> bool {
        if self.broken {
            return false;
        }
        // Each of the daemon's indices is read here and nowhere else.
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
            let len = room.min(request.message.len() - request.sent);
            let part = request.message.iter().skip(request.sent).take(len).copied();
            self.req_prod = produce(part, self.req_prod, place, &index);
            (request.sent, room) = (request.sent + len, room - len);
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
        } else if !incoming.passed_over {
            incoming.payload.push(byte);
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
            let Incoming { payload, passed_over, .. } = core::mem::take(incoming);
            self.deliver(&header, if passed_over { Err(Error::NO_MEMORY) } else { Ok(payload) });
        }
    }

    fn deliver(&mut self, header: &XsdSockmsg, payload: Answer) {
        if header.type_ == XsMessageType::WATCH_EVENT {
            self.deliver_event(payload);
        } else if let Some(at) = self.requests.iter().position(|one| one.id == header.req_id) {
            let request = &mut self.requests[at];
            let answer = match payload {
                Ok(payload) if header.type_ == request.kind => Ok(payload),
                Ok(payload) if header.type_ == XsMessageType::ERROR => {
                    Err(message::refusal(&payload))
                }
                Ok(_) => Err(GARBAGE),
                Err(error) => Err(error),
            };
            let kind = request.kind;
            if request.abandoned {
                self.requests.remove(at);
                self.close_unwanted(kind, &answer);
            } else {
                request.answer = Some(answer);
            }
        }
        // An answer to nothing is nobody's.
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
            // Whose it was is not known.
            Err(_) => self.watches.iter_mut().for_each(Queue::lose),
        }
    }

    /// Ends the connection: every waiter gets the same error, and so does all that follows.
    fn break_off(&mut self) {
        self.broken = true;
        self.requests.retain(|request| !request.abandoned);
        for request in &mut self.requests {
            request.message = Vec::new();
            request.answer.get_or_insert(Err(BROKEN));
        }
        self.news = true;
    }
}
