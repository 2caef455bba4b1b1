// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bits of 2-level event channels, and our operations on them while Xen sets them.
//!
//! Xen's side, which determines the order of ours: it sets a port's pending bit. Unless that was
//! already set or the port is masked, it sets the selector bit of the port's word. Unless that was
//! already set, it sets `evtchn_upcall_pending`.

use core::sync::atomic::Ordering;

use crate::PortNumber;
use crate::words::Word;

/// The number of words of port bits.
pub(super) const WORDS: usize = 64;

/// Where a port's bits are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The number of its word, below [`WORDS`].
    pub(super) word: usize,
    bit: u64,
}

impl Place {
    /// Returns a port's place; `None` for a number that no port has.
    pub(super) fn of(number: PortNumber) -> Option<Self> {
        let word = number.0 as usize / 64;
        (number.0 != 0 && word < WORDS).then_some(Self { word, bit: 1 << (number.0 % 64) })
    }
}

/// The words that announce that anything is pending, and in which words of ports.
#[derive(Debug)]
pub(super) struct Upcall<Byte, Long> {
    pub(super) pending: Byte,
    pub(super) selector: Long,
}

/// One word of ports: pending and mask bits.
#[derive(Debug)]
pub(super) struct Ports<Long> {
    pub(super) pending: Long,
    pub(super) mask: Long,
}

/// Takes the numbers of the words with pending events.
pub(super) fn take_words(
    upcall: &Upcall<impl Word<Value = u8>, impl Word<Value = u64>>,
) -> SetBits {
    // In this order: a selector bit left set after the upcall bit is cleared would never be
    // announced again, since Xen raises an upcall only when it sets the selector bit itself.
    upcall.pending.store(0, Ordering::SeqCst);
    SetBits(upcall.selector.swap(0, Ordering::SeqCst))
}

/// Takes each event of a word, then passes the bit number of its port to `deliver`.
pub(super) fn take_events(ports: &Ports<impl Word<Value = u64>>, mut deliver: impl FnMut(usize)) {
    let masked = ports.mask.load(Ordering::SeqCst);
    for bit in SetBits(ports.pending.load(Ordering::SeqCst) & !masked) {
        // Clear the bit before the wake-up, so that a later send sets it again. It may no longer be
        // set: a task woken just now may have closed the port.
        if ports.pending.fetch_and(!(1 << bit), Ordering::SeqCst) & 1 << bit != 0 {
            deliver(bit);
        }
    }
}

/// Lets Xen announce a port's events, and announces an event that came while it was masked.
pub(super) fn unmask<Long: Word<Value = u64>>(
    ports: &Ports<Long>,
    upcall: &Upcall<impl Word<Value = u8>, Long>,
    place: Place,
) {
    ports.mask.fetch_and(!place.bit, Ordering::SeqCst);
    if ports.pending.load(Ordering::SeqCst) & place.bit != 0 {
        upcall.selector.fetch_or(1 << place.word, Ordering::SeqCst);
        upcall.pending.store(1, Ordering::SeqCst);
    }
}

/// Stops Xen from announcing a port's events.
pub(super) fn mask(ports: &Ports<impl Word<Value = u64>>, place: Place) {
    ports.mask.fetch_or(place.bit, Ordering::SeqCst);
}

/// Discards a port's pending event.
pub(super) fn forget(ports: &Ports<impl Word<Value = u64>>, place: Place) {
    ports.pending.fetch_and(!place.bit, Ordering::SeqCst);
}

/// Iterates over the numbers of the set bits.
pub(super) struct SetBits(u64);

impl Iterator for SetBits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let bit = (self.0 != 0).then(|| self.0.trailing_zeros() as usize);
        self.0 &= self.0.wrapping_sub(1);
        bit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_1_to_4095_and_each_has_a_bit_of_its_own() {
        let place = |number| Place::of(PortNumber(number)).map(|place| (place.word, place.bit));
        assert_eq!([place(1), place(63)], [Some((0, 2)), Some((0, 1 << 63))]);
        assert_eq!([place(64), place(4095)], [Some((1, 1)), Some((63, 1 << 63))]);
        assert_eq!([place(0), place(4096), place(u32::MAX)], [None; 3]);
    }
}
