// SPDX-License-Identifier: MIT OR Apache-2.0
//! The layout of the shared page, and where the rings are, given their orders.
//!
//! As in public/io/libxenvchan.h; numbers are little-endian:
//!
//! ```text
//!  0  left   cons, prod     client writes, server reads
//!  8  right  cons, prod     server writes, client reads
//! 16  left_order, right_order (16 bits each)
//! 20  cli_live, srv_live, cli_notify, srv_notify (8 bits each)
//! 24  grants: a reference for each page of left, then of right (32 bits each)
//! ```
//!
//! A ring of order 10 lies in the page itself at offset 1024, one of order 11 at 2048; each place
//! can be used once. A larger ring has 2^(order - 12) pages of its own.

use core::mem::{offset_of, size_of};

use drivers::memory::PAGE_SIZE;
use drivers::{Errno, Error as SystemError};
use xen_sys::io::libxenvchan::{RingShared, VchanInterface};
pub(crate) use xen_sys::io::libxenvchan::{
    VCHAN_NOTIFY_READ as NOTIFY_READ, VCHAN_NOTIFY_WRITE as NOTIFY_WRITE,
};

use crate::Error;

/// The indices of the two rings.
pub(crate) const LEFT: Indices = Indices::at(offset_of!(VchanInterface, left));
pub(crate) const RIGHT: Indices = Indices::at(offset_of!(VchanInterface, right));
/// The word with the two orders.
pub(crate) const ORDERS: usize = offset_of!(VchanInterface, left_order);
/// The word with the four state bytes.
pub(crate) const STATE: usize = CLIENT_LIVE;
pub(crate) const CLIENT_LIVE: usize = offset_of!(VchanInterface, cli_live);
pub(crate) const SERVER_LIVE: usize = offset_of!(VchanInterface, srv_live);
pub(crate) const CLIENT_NOTIFY: usize = offset_of!(VchanInterface, cli_notify);
pub(crate) const SERVER_NOTIFY: usize = offset_of!(VchanInterface, srv_notify);
/// Where the grant references begin.
pub(crate) const GRANTS: usize = size_of::<VchanInterface>();

/// The places of a ring's two indices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indices {
    pub(crate) cons: usize,
    pub(crate) prod: usize,
}

impl Indices {
    const fn at(ring: usize) -> Self {
        Self {
            cons: ring + offset_of!(RingShared, cons),
            prod: ring + offset_of!(RingShared, prod),
        }
    }
}

/// Values of a live byte.
pub(crate) const CLOSED: u8 = 0;
pub(crate) const CONNECTED: u8 = 1;
pub(crate) const AWAITED: u8 = 2;

const SMALL: u16 = 10;
const LARGE: u16 = 11;
const PAGE: u16 = 12;
const MOST: u16 = 20;

/// The sizes of the two rings in bytes: those requested, rounded up to what the protocol allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    left: Order,
    right: Order,
}

/// A ring's size as a power of two, 10 to 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order(u16);

impl Sizes {
    /// Rings with room for at least this many bytes, each 1 KiB to 1 MiB: from the client to the
    /// server, and from the server to the client. The choice is libxenvchan's: small ones lie in
    /// the shared page, as far as both fit.
    ///
    /// # Errors
    /// EINVAL if a size is out of range.
    pub fn new(to_server: u32, to_client: u32) -> Result<Self, Error> {
        let range = 1 << SMALL..=1_u32 << MOST;
        if !range.contains(&to_server) || !range.contains(&to_client) {
            let words = &"a ring has 1024 to 1048576 bytes";
            return Err(SystemError::Local(Errno::EINVAL, words).into());
        }
        let (left, right) = match (Self::order(to_server), Self::order(to_client)) {
            (SMALL, SMALL | LARGE) => (SMALL, LARGE),
            (LARGE, SMALL) => (LARGE, SMALL),
            (LARGE, LARGE) => (LARGE, PAGE),
            (SMALL | LARGE, right) => (LARGE, right),
            (left, SMALL | LARGE) => (left, LARGE),
            orders => orders,
        };
        Ok(Self { left: Order(left), right: Order(right) })
    }

    /// The order of a ring with room for `bytes`.
    fn order(bytes: u32) -> u16 {
        bytes.next_power_of_two().trailing_zeros() as u16
    }

    /// The sizes that a page claims, from the word with the orders.
    ///
    /// # Errors
    /// [`Error::PeerViolation`] for invalid orders, or if there is no room for the references
    /// before a ring in the page.
    pub(crate) fn claimed(word: u32) -> Result<Self, Error> {
        let orders = [word & 0xffff, word >> 16].map(|order| Order(order as u16));
        let [left, right] = orders;
        if orders.iter().any(|order| !(SMALL..=MOST).contains(&order.0)) {
            return Err(Error::PeerViolation("a ring's order is not 10 to 20"));
        }
        if left == right && left.in_page().is_some() {
            return Err(Error::PeerViolation("both rings at one place in the page"));
        }
        let sizes = Self { left, right };
        let end = GRANTS + 4 * (left.pages() + right.pages()) as usize;
        let ring = [left, right].iter().filter_map(|order| order.in_page()).min();
        if end > ring.unwrap_or(PAGE_SIZE) {
            return Err(Error::PeerViolation("the references reach into a ring"));
        }
        Ok(sizes)
    }

    /// The word with the orders.
    pub(crate) fn word(self) -> u32 {
        u32::from(self.left.0) | u32::from(self.right.0) << 16
    }

    /// The ring from the client to the server.
    pub(crate) fn left(self) -> Order {
        self.left
    }

    /// The ring from the server to the client.
    pub(crate) fn right(self) -> Order {
        self.right
    }
}

impl Default for Sizes {
    /// 65,536 bytes each way.
    fn default() -> Self {
        Self { left: Order(16), right: Order(16) }
    }
}

impl Order {
    /// The ring's size in bytes.
    pub(crate) fn bytes(self) -> u32 {
        1 << self.0
    }

    /// The number of its own pages.
    pub(crate) fn pages(self) -> u32 {
        if self.0 < PAGE { 0 } else { 1 << (self.0 - PAGE) }
    }

    /// Its offset in the shared page, if it lies there.
    pub(crate) fn in_page(self) -> Option<usize> {
        // Order 10 is at 1024, order 11 at 2048.
        (self.0 < PAGE).then_some(1 << self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(to_server: u32, to_client: u32) -> Option<(u16, u16)> {
        let sizes = Sizes::new(to_server, to_client).ok()?;
        Some((sizes.left.0, sizes.right.0))
    }

    #[test]
    fn rings_are_as_libxenvchan_chooses_them() {
        for (asked, chosen) in [
            ((1024, 1024), (10, 11)),
            ((1024, 2048), (10, 11)),
            ((2048, 1024), (11, 10)),
            ((1025, 1025), (11, 12)),
            ((2048, 2048), (11, 12)),
            ((1024, 4096), (11, 12)),
            ((4096, 1024), (12, 11)),
            ((2049, 2049), (12, 12)),
            ((65_536, 65_537), (16, 17)),
            ((1 << 20, 1 << 20), (20, 20)),
            ((1 << 20, 1024), (20, 11)),
        ] {
            assert_eq!(orders(asked.0, asked.1), Some(chosen), "{asked:?}");
        }
    }

    #[test]
    fn a_size_out_of_range_is_refused() {
        for wrong in [0, 1, 1023, (1 << 20) + 1, u32::MAX] {
            assert_eq!(orders(wrong, 4096), None, "{wrong}");
            assert_eq!(orders(4096, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_we_choose_is_what_a_client_of_ours_takes() {
        for left in 10..=20 {
            for right in 10..=20 {
                let sizes = Sizes::new(1 << left, 1 << right).unwrap();
                assert_eq!(Sizes::claimed(sizes.word()), Ok(sizes));
                assert!(sizes.left.bytes() >= 1 << left && sizes.right.bytes() >= 1 << right);
            }
        }
    }

    #[test]
    fn orders_that_cannot_be_are_refused() {
        let claimed = |left: u32, right: u32| Sizes::claimed(left | right << 16);
        for (left, right) in [(9, 12), (12, 9), (0, 0), (21, 12), (12, 21), (12, 0xffff)] {
            assert!(claimed(left, right).is_err(), "{left} {right}");
        }
        assert!(claimed(10, 10).is_err());
        assert!(claimed(11, 11).is_err());
        assert!(claimed(10, 11).is_ok());
        // 256 references end at 1048.
        assert!(claimed(20, 10).is_err());
        assert!(claimed(19, 10).is_ok());
        assert!(claimed(20, 11).is_ok());
    }
}
