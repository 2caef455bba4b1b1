// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of both ends, in every interleaving that the memory orderings allow.
//!
//! The ring's bytes are relaxed atomics here, so a byte read before it is written, or overwritten
//! before it is read, shows as a wrong value.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker};

use drivers::Error;
use drivers::memory::PAGE_SIZE;
use drivers::shared::{Shared, SharedBits, SharedMut};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use crate::layout::{CLIENT_LIVE, CONNECTED, GRANTS, NOTIFY_WRITE, RIGHT, SERVER_LIVE, STATE};
use crate::link::{Link, Ring, Side};
use crate::turn::Turn;
use crate::{Bell, Receiver, Sender};

/// The page with the ring that the server writes. `ORDERED`: word accesses have the orderings that
/// [`SharedMut`] promises. `STEPS`: bit operations have those that [`SharedBits`] promises.
struct Words<const ORDERED: bool, const STEPS: bool> {
    prod: AtomicU32,
    cons: AtomicU32,
    state: [AtomicU8; 4],
    bytes: Vec<AtomicU8>,
}

/// One end's hold on the page.
struct Page<const ORDERED: bool, const STEPS: bool>(Arc<Words<ORDERED, STEPS>>);

impl<const ORDERED: bool, const STEPS: bool> Page<ORDERED, STEPS> {
    fn index(&self, offset: usize) -> &AtomicU32 {
        if offset == CONS { &self.0.cons } else { &self.0.prod }
    }

    fn bits(&self, offset: usize) -> (&AtomicU8, Ordering) {
        let order = if STEPS { Ordering::AcqRel } else { Ordering::Relaxed };
        (&self.0.state[offset - STATE], order)
    }
}

/// The places of the indices of the ring that the server writes.
const CONS: usize = RIGHT.cons;
const PROD: usize = RIGHT.prod;

impl<const ORDERED: bool, const STEPS: bool> Shared for Page<ORDERED, STEPS> {
    fn size(&self) -> usize {
        PAGE_SIZE
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let from = self.0.bytes.iter().skip(offset - GRANTS);
        bytes.iter_mut().zip(from).for_each(|(byte, from)| *byte = from.load(Ordering::Relaxed));
        Ok(())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        let order = if ORDERED { Ordering::Acquire } else { Ordering::Relaxed };
        if offset == STATE {
            let state = [0, 1, 2, 3].map(|at: usize| self.0.state[at].load(order));
            return Ok(u32::from_le_bytes(state));
        }
        Ok(self.index(offset).load(order))
    }
}

impl<const ORDERED: bool, const STEPS: bool> SharedMut for Page<ORDERED, STEPS> {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let to = self.0.bytes.iter().skip(offset - GRANTS);
        bytes.iter().zip(to).for_each(|(byte, to)| to.store(*byte, Ordering::Relaxed));
        Ok(())
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        let order = if ORDERED { Ordering::Release } else { Ordering::Relaxed };
        self.index(offset).store(value, order);
        Ok(())
    }
}

impl<const ORDERED: bool, const STEPS: bool> SharedBits for Page<ORDERED, STEPS> {
    fn fetch_or_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        let (byte, order) = self.bits(offset);
        Ok(byte.fetch_or(bits, order))
    }

    fn fetch_and_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        let (byte, order) = self.bits(offset);
        Ok(byte.fetch_and(bits, order))
    }
}

/// Events sent to this end, and to the other.
struct Ends {
    own: Arc<AtomicU64>,
    other: Arc<AtomicU64>,
}

impl Bell for Ends {
    fn delivered(&self) -> u64 {
        self.own.load(Ordering::Acquire)
    }

    fn wait_beyond(&self, mark: u64) -> impl Future<Output = ()> {
        poll_fn(move |_| if self.delivered() > mark { Poll::Ready(()) } else { Poll::Pending })
    }

    fn ring(&self) -> Result<(), Error> {
        self.other.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn is_bound(&self) -> bool {
        true
    }

    fn now(&self) -> u64 {
        0
    }

    fn sleep_until(&self, _: u64) -> impl Future<Output = ()> {
        core::future::pending()
    }
}

/// An end's future, and whether it has finished.
struct End(Pin<Box<dyn Future<Output = ()> + Send>>, bool);

impl End {
    /// Runs as far as it can. A waiting end only checks for new events.
    fn step(&mut self) {
        for _ in 0..2 {
            let mut context = Context::from_waker(Waker::noop());
            self.1 = self.1 || self.0.as_mut().poll(&mut context).is_ready();
        }
    }
}

fn ring(size: u32, own: usize, peers: usize) -> Ring {
    Ring { size, index: 0, own, peers, start: GRANTS, turn: Turn::new(u32::MAX) }
}

/// The server writes `total` bytes through a ring of `size`, and closes if `closes`; the client
/// reads them all, and the end of the stream. Both run concurrently as far as they get, then take
/// turns.
fn passing<const ORDERED: bool, const STEPS: bool>(size: u32, total: u8, closes: bool) {
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound = Some(3);
    checker.check(move || {
        // The state once a client has connected: both are live, and both have requested events for
        // writes.
        let state = [CONNECTED, CONNECTED, NOTIFY_WRITE, NOTIFY_WRITE].map(AtomicU8::new);
        let bytes = (0..size).map(|_| AtomicU8::new(0)).collect();
        let (prod, cons) = (AtomicU32::new(0), AtomicU32::new(0));
        let words = Arc::new(Words::<ORDERED, STEPS> { prod, cons, state, bytes });
        let (one, two) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (page, bell) = (Page(words.clone()), Ends { own: two.clone(), other: one.clone() });
        let reading = async move {
            let link = Link::new(Side::Client, page, bell);
            let mut ring = ring(size, CONS, PROD);
            let mut receiver = Receiver::new(&link, &mut ring);
            let mut next = 1;
            while next <= total {
                let mut bytes = [0; 2];
                let len = receiver.read(&mut bytes).await.unwrap();
                assert!(len > 0, "data was lost at the end");
                for byte in &bytes[..len] {
                    assert_eq!(*byte, next, "another byte");
                    next += 1;
                }
            }
            if closes {
                assert_eq!(receiver.read(&mut [0]).await, Ok(0));
            }
        };
        let (page, bell) = (Page(words.clone()), Ends { own: one, other: two });
        let writing = async move {
            let link = Link::new(Side::Server, page, bell);
            let mut ring = ring(size, PROD, CONS);
            let mut sender = Sender::new(&link, &mut ring);
            let mut bytes = &(1..=total).collect::<Vec<u8>>()[..];
            while !bytes.is_empty() {
                let len = sender.write(bytes).await.unwrap();
                bytes = &bytes[len..];
            }
            if closes {
                words.state[SERVER_LIVE - STATE].store(0, Ordering::Release);
                link.bell.ring().unwrap();
            }
        };
        let mut reader = End(Box::pin(reading), false);
        let mut writer = End(Box::pin(writing), false);
        let thread = loom::thread::spawn(move || {
            reader.step();
            reader
        });
        writer.step();
        let mut reader = thread.join().unwrap();
        for _ in 0..10 {
            writer.step();
            reader.step();
        }
        assert!(writer.1 && reader.1, "an end waits for ever");
    });
}

#[test]
fn bytes_pass_whole_and_nobody_waits_for_ever() {
    for (size, total) in [(1, 1), (1, 2), (2, 3)] {
        passing::<true, true>(size, total, false);
    }
}

#[test]
fn what_was_written_before_the_close_is_read_and_then_the_end_is_seen() {
    for (size, total) in [(1, 0), (1, 1), (2, 2)] {
        passing::<true, true>(size, total, true);
    }
}

#[test]
fn a_sender_without_room_sees_a_close_whenever_it_comes() {
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound = Some(3);
    checker.check(|| {
        let state = [CONNECTED, CONNECTED, NOTIFY_WRITE, NOTIFY_WRITE].map(AtomicU8::new);
        let (prod, cons) = (AtomicU32::new(0), AtomicU32::new(0));
        let bytes = vec![AtomicU8::new(0)];
        let words = Arc::new(Words::<true, true> { prod, cons, state, bytes });
        let (events, others) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (page, bell) = (Page(words.clone()), Ends { own: events.clone(), other: others });
        let writing = async move {
            let link = Link::new(Side::Server, page, bell);
            let mut ring = ring(1, PROD, CONS);
            let mut sender = Sender::new(&link, &mut ring);
            let first = sender.write(&[1]).await;
            assert!(matches!(first, Ok(1) | Err(crate::Error::Closed)));
            assert_eq!(sender.write(&[2]).await, Err(crate::Error::Closed));
        };
        let mut writer = End(Box::pin(writing), false);
        let thread = loom::thread::spawn(move || {
            words.state[CLIENT_LIVE - STATE].store(0, Ordering::Release);
            events.fetch_add(1, Ordering::AcqRel);
        });
        writer.step();
        thread.join().unwrap();
        writer.step();
        assert!(writer.1, "the sender waits for ever");
    });
}

#[test]
#[should_panic = "an end waits for ever"]
fn if_the_bits_were_not_changed_in_ordered_steps_both_ends_would_wait() {
    passing::<true, false>(1, 2, false);
}

#[test]
#[should_panic = "another byte"]
fn without_the_orders_of_shared_words_bytes_are_read_early() {
    passing::<false, true>(1, 1, false);
}

#[test]
fn a_ring_is_split_where_it_ends() {
    let mut ring = ring(4, PROD, CONS);
    ring.index = u32::MAX;
    assert_eq!(ring.place(0, 1), (GRANTS + 3, 1));
    assert_eq!(ring.place(0, 4), (GRANTS + 3, 1));
    assert_eq!(ring.place(1, 4), (GRANTS, 4));
    assert_eq!(vec![ring.place(3, 2)], [(GRANTS + 2, 2)]);
}
