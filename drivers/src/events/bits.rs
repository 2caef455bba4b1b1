// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bits of event channels, 2-level, and what is done to them beside Xen, which sets them.
//!
//! Xen's part, for the order of ours: it sets a port's pending bit; unless that was set or the
//! port is masked it sets the selector bit of the port's word; unless that was set it sets
//! `evtchn_upcall_pending`.

use core::sync::atomic::Ordering;

use crate::PortNumber;
use crate::words::Word;

/// Words of ports.
pub(super) const WORDS: usize = 64;

/// Where a port's bits are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The number of its word, below [`WORDS`].
    pub(super) word: usize,
    bit: u64,
}

impl Place {
    /// The place of a port; `None` for a number that no port has.
    pub(super) fn of(number: PortNumber) -> Option<Self> {
        let word = number.0 as usize / 64;
        (number.0 != 0 && word < WORDS).then_some(Self { word, bit: 1 << (number.0 % 64) })
    }
}

/// What announces that there is news at all, and in which words.
#[derive(Debug)]
pub(super) struct Upcall<Byte, Long> {
    pub(super) pending: Byte,
    pub(super) selector: Long,
}

/// One word of ports.
#[derive(Debug)]
pub(super) struct Ports<Long> {
    pub(super) pending: Long,
    pub(super) mask: Long,
}

/// Takes the numbers of the words that have news.
pub(super) fn take_words(
    upcall: &Upcall<impl Word<Value = u8>, impl Word<Value = u64>>,
) -> SetBits {
    // In this order: a selector bit left set under a cleared upcall would never be announced
    // again, since Xen rings only when it sets the selector bit itself.
    upcall.pending.store(0, Ordering::SeqCst);
    SetBits(upcall.selector.swap(0, Ordering::SeqCst))
}

/// Takes each event of a word, and then says which port of the word had it.
pub(super) fn take_events(ports: &Ports<impl Word<Value = u64>>, mut deliver: impl FnMut(usize)) {
    let masked = ports.mask.load(Ordering::SeqCst);
    for bit in SetBits(ports.pending.load(Ordering::SeqCst) & !masked) {
        // Cleared before the wake-up: what is sent from now on sets it again. It is set no more if
        // who was woken just now has closed the port.
        if ports.pending.fetch_and(!(1 << bit), Ordering::SeqCst) & 1 << bit != 0 {
            deliver(bit);
        }
    }
}

/// Lets Xen announce a port's events, and announces one that came while it was masked.
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

/// Lets Xen announce none of a port's events.
pub(super) fn mask(ports: &Ports<impl Word<Value = u64>>, place: Place) {
    ports.mask.fetch_or(place.bit, Ordering::SeqCst);
}

/// Forgets an event of a port.
pub(super) fn forget(ports: &Ports<impl Word<Value = u64>>, place: Place) {
    ports.pending.fetch_and(!place.bit, Ordering::SeqCst);
}

/// The numbers of the set bits.
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
