// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bits of event channels, shared with Xen, in every order that the memory model allows.

use core::sync::atomic::Ordering;

use super::bits::{Place, Ports, Upcall, take_events, take_words, unmask};
use crate::PortNumber;
use crate::words::Word;
use crate::words::checked::Checked;
#[cfg(not(miri))]
use crate::words::checked::Relaxed;
use crate::words::checked::rt::{self, Arc, AtomicU8, AtomicU32, AtomicU64};

const PORT: PortNumber = PortNumber(5);
const BIT: u64 = 1 << 5;

struct Bits<B, L> {
    upcall: Upcall<B, L>,
    ports: Ports<L>,
    /// The data that an event announces.
    letter: AtomicU32,
}

impl<B: Word<Value = u8>, L: Word<Value = u64>> Bits<B, L> {
    fn new(byte: fn(AtomicU8) -> B, long: fn(AtomicU64) -> L, mask: u64) -> Self {
        let word = |value| long(AtomicU64::new(value));
        Self {
            upcall: Upcall { pending: byte(AtomicU8::new(0)), selector: word(0) },
            ports: Ports { pending: word(0), mask: word(mask) },
            letter: AtomicU32::new(0),
        }
    }

    /// A peer writes a letter and sends; the rest is Xen's part, all in locked instructions.
    fn send(&self, letter: u32) {
        self.letter.store(letter, Ordering::Relaxed);
        if self.ports.pending.fetch_or(BIT, Ordering::SeqCst) & BIT == 0
            && self.ports.mask.load(Ordering::SeqCst) & BIT == 0
            && self.upcall.selector.fetch_or(1, Ordering::SeqCst) & 1 == 0
        {
            self.upcall.pending.store(1, Ordering::SeqCst);
        }
    }

    /// Dispatches once. Returns the letter if there was an event.
    fn dispatch(&self) -> Option<u32> {
        let mut read = None;
        for _ in take_words(&self.upcall) {
            take_events(&self.ports, |bit| {
                assert_eq!(1 << bit, BIT);
                read = Some(self.letter.load(Ordering::Relaxed));
            });
        }
        read
    }
}

/// We dispatch once while a peer sends `sends` times, and then as long as an upcall is pending.
fn dispatching<B, L>(byte: fn(AtomicU8) -> B, long: fn(AtomicU64) -> L, sends: u32)
where
    B: Word<Value = u8> + Send + Sync + 'static,
    L: Word<Value = u64> + Send + Sync + 'static,
{
    rt::check(None, move || {
        let bits = Arc::new(Bits::new(byte, long, 0));
        let theirs = bits.clone();
        let peer = rt::thread::spawn(move || (1..=sends).for_each(|letter| theirs.send(letter)));
        let mut read = bits.dispatch();
        peer.join().unwrap();
        while bits.upcall.pending.load(Ordering::SeqCst) != 0 {
            read = bits.dispatch().or(read);
        }
        assert_eq!(read, Some(sends), "an event was lost");
    });
}

#[test]
fn a_woken_waiter_sees_the_data_that_the_event_announces() {
    for sends in [1, 2] {
        dispatching(Checked, Checked, sends);
    }
}

#[test]
#[cfg(not(miri))]
#[should_panic = "an event was lost"]
fn without_ordering_events_are_lost() {
    dispatching(Relaxed, Relaxed, 2);
}

/// We unmask a port while a peer sends an event.
fn unmasking<B, L>(byte: fn(AtomicU8) -> B, long: fn(AtomicU64) -> L)
where
    B: Word<Value = u8> + Send + Sync + 'static,
    L: Word<Value = u64> + Send + Sync + 'static,
{
    rt::check(None, move || {
        let bits = Arc::new(Bits::new(byte, long, BIT));
        let theirs = bits.clone();
        let peer = rt::thread::spawn(move || theirs.send(1));
        let place = Place::of(PORT).expect("a port's number");
        unmask(&bits.ports, &bits.upcall, place);
        peer.join().unwrap();
        let upcall = bits.upcall.pending.load(Ordering::SeqCst);
        assert_eq!((upcall, bits.dispatch()), (1, Some(1)), "an event was lost");
    });
}

#[test]
fn an_event_that_comes_while_its_port_is_unmasked_is_announced() {
    unmasking(Checked, Checked);
}

#[test]
#[cfg(not(miri))]
#[should_panic = "an event was lost"]
fn without_ordering_neither_side_announces_an_event() {
    unmasking(Relaxed, Relaxed);
}
