// SPDX-License-Identifier: MIT OR Apache-2.0
//! `io/libxenvchan.h`: the page that the two ends of a byte channel share.

/// The consumer's and the producer's index of one ring. They run freely over 32 bits.
#[doc(alias = "ring_shared")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct RingShared {
    /// The total bytes taken; written by the reader.
    pub cons: u32,
    /// The total bytes put; written by the writer.
    pub prod: u32,
}
layout!(RingShared: 8 { cons: 0, prod: 4 });

/// The start of the page. It is followed by a gref for each page of the left ring, then of the
/// right.
#[doc(alias = "vchan_interface")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct VchanInterface {
    /// The ring that the client writes and the server reads.
    pub left: RingShared,
    /// The ring that the server writes and the client reads.
    pub right: RingShared,
    /// The left ring's size as a power of 2. A ring of order 10 is at offset 1024 of the page, one
    /// of order 11 at 2048; 12 and more have pages of their own.
    pub left_order: u16,
    /// The right ring's size, likewise.
    pub right_order: u16,
    /// 0: the client has gone; 1: it's connected; 2: it has not connected yet.
    pub cli_live: u8,
    /// The same for the server.
    pub srv_live: u8,
    /// `VCHAN_NOTIFY_*` bits that the server sets and the client clears.
    pub cli_notify: u8,
    /// `VCHAN_NOTIFY_*` bits that the client sets and the server clears.
    pub srv_notify: u8,
}
layout!(VchanInterface: 24 {
    left: 0, right: 8, left_order: 16, right_order: 18, cli_live: 20, srv_live: 21, cli_notify: 22,
    srv_notify: 23,
});

/// Send an event when you have written.
pub const VCHAN_NOTIFY_WRITE: u8 = 1;
/// Send an event when you have read.
pub const VCHAN_NOTIFY_READ: u8 = 2;
