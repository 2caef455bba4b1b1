// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring's protocol between two ends, in every order that the memory model allows.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll, Waker};

use super::{Bell, RingEnd};
use crate::Error;
use crate::memory::PAGE_SIZE;
use crate::shared::{Shared, SharedMut};
use crate::words::checked::Byte;
use crate::words::checked::rt::{self, Arc, AtomicU32, AtomicU64};

/// A page of words, plus bytes. `ORDERED`: its words have the ordering that [`SharedMut`] promises.
struct Page<const ORDERED: bool> {
    words: [AtomicU32; 4],
    bytes: Vec<Byte>,
}

impl<const ORDERED: bool> Page<ORDERED> {
    fn new(size: usize) -> Self {
        let words = core::array::from_fn(|_| AtomicU32::new(0));
        Self { words, bytes: (0..size).map(|_| Byte::new(0)).collect() }
    }
}

impl<const ORDERED: bool> Shared for Page<ORDERED> {
    fn size(&self) -> usize {
        PAGE_SIZE + self.bytes.len()
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        let from = self.bytes.iter().skip(offset - PAGE_SIZE);
        bytes.iter_mut().zip(from).for_each(|(byte, from)| *byte = from.get());
        Ok(())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        let order = if ORDERED { Ordering::Acquire } else { Ordering::Relaxed };
        Ok(self.words[offset / 64].load(order))
    }
}

impl<const ORDERED: bool> SharedMut for Page<ORDERED> {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        let to = self.bytes.iter().skip(offset - PAGE_SIZE);
        bytes.iter().zip(to).for_each(|(byte, to)| to.set(*byte));
        Ok(())
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        let order = if ORDERED { Ordering::Release } else { Ordering::Relaxed };
        self.words[offset / 64].store(value, order);
        Ok(())
    }
}

/// One end's bell. `FENCED`: with the ring's fences.
struct Ends<const FENCED: bool> {
    /// How often this end and the other one were rung.
    own: Arc<AtomicU64>,
    other: Arc<AtomicU64>,
}

impl<const FENCED: bool> Bell for Ends<FENCED> {
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

    const FENCED: bool = FENCED;
}

/// What one end does, and whether it has finished.
struct Side(Pin<Box<dyn Future<Output = ()> + Send>>, bool);

impl Side {
    /// Runs as far as possible. A waiting side only checks whether it was rung.
    fn step(&mut self) {
        for _ in 0..2 {
            self.1 =
                self.1 || self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        }
    }
}

/// Passes `total` bytes through a ring of `size`: both ends run at once as far as they can, then in
/// turn.
fn passing<const ORDERED: bool, const FENCED: bool>(size: usize, total: u8) {
    rt::check(Some(3), move || {
        let page = Arc::new(Page::<ORDERED>::new(size));
        let (one, two) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (theirs, other) =
            (page.clone(), Ends::<FENCED> { own: two.clone(), other: one.clone() });
        let reading = async move {
            let mut end = RingEnd::new(&*theirs, &other).unwrap();
            let mut next = 1;
            while next <= total {
                let mut bytes = [0; 2];
                let len = end.receive(&mut bytes).await.unwrap();
                for byte in &bytes[..len] {
                    assert_eq!(*byte, next);
                    next += 1;
                }
            }
        };
        let ends = Ends::<FENCED> { own: one, other: two };
        let writing = async move {
            let mut end = RingEnd::new(&*page, &ends).unwrap();
            let bytes: Vec<u8> = (1..=total).collect();
            end.send(&bytes).await.unwrap();
        };
        let mut reader = Side(Box::pin(reading), false);
        let mut writer = Side(Box::pin(writing), false);
        let thread = rt::thread::spawn(move || {
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
fn bytes_pass_intact_and_nobody_waits_forever() {
    passing::<true, true>(1, 1);
    passing::<true, true>(1, 2);
    passing::<true, true>(2, 3);
}

#[test]
#[cfg(not(miri))]
#[should_panic = "an end waits for ever"]
fn without_the_fences_both_ends_would_wait() {
    passing::<true, false>(1, 2);
}

#[test]
#[cfg(not(miri))]
#[should_panic = "Causality violation"]
fn without_the_ordering_of_shared_words_bytes_are_read_early() {
    passing::<false, true>(1, 1);
}
