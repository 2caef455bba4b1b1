// SPDX-License-Identifier: MIT OR Apache-2.0
//! `io/xs_wire.h`: the page shared with the xenstore daemon, and the messages on it.

use crate::errno::Errno;
use core::sync::atomic::{AtomicU8, AtomicU32};

/// The size of each of the two rings in bytes.
pub const XENSTORE_RING_SIZE: usize = 1024;
/// The maximum payload of a message in bytes. The daemon stops serving a domain that sends more.
pub const XENSTORE_PAYLOAD_MAX: usize = 4096;
/// The maximum length of an absolute path in bytes. The daemon answers a longer one with an error.
pub const XENSTORE_ABS_PATH_MAX: usize = 3072;
/// The maximum length of a path relative to the domain's own, in bytes. The daemon answers a longer
/// one with an error.
pub const XENSTORE_REL_PATH_MAX: usize = 2048;

/// Bit of `server_features`: the guest may ask for a reconnection.
pub const XENSTORE_SERVER_FEATURE_RECONNECTION: u32 = 1;
/// Bit of `server_features`: the `error` field is in use.
pub const XENSTORE_SERVER_FEATURE_ERROR: u32 = 2;

/// Value of `connection`: the rings work.
pub const XENSTORE_CONNECTED: u32 = 0;
/// Value of `connection`: a reconnection is in progress; the guest must leave the rings alone.
pub const XENSTORE_RECONNECT: u32 = 1;

/// Value of `error`: none.
pub const XENSTORE_ERROR_NONE: u32 = 0;
/// Value of `error`: the daemon can't talk to the guest.
pub const XENSTORE_ERROR_COMM: u32 = 1;
/// Value of `error`: impossible ring indices.
pub const XENSTORE_ERROR_RINGIDX: u32 = 2;
/// Value of `error`: an invalid message.
pub const XENSTORE_ERROR_PROTO: u32 = 3;

/// First string of a [`XsMessageType::WATCH_EVENT`]: the path that changed.
pub const XS_WATCH_PATH: usize = 0;
/// Second string of a [`XsMessageType::WATCH_EVENT`]: the token of the watch.
pub const XS_WATCH_TOKEN: usize = 1;

c_enum! {
    /// `XS_*`, `enum xsd_sockmsg_type`: a message's type. An answer has its request's type, or
    /// [`XsMessageType::ERROR`].
    #[derive(PartialOrd, Ord, Default)]
    pub struct XsMessageType(u32) {
        /// Commands to the daemon; privileged.
        CONTROL = 0,
        /// Lists a node's children.
        DIRECTORY = 1,
        /// Reads a node's value; it isn't NUL-terminated.
        READ = 2,
        /// Reads a node's permissions.
        GET_PERMS = 3,
        /// Sets a watch, which fires once immediately.
        WATCH = 4,
        /// Removes a watch.
        UNWATCH = 5,
        /// Starts a transaction. The answer is its number in decimal.
        TRANSACTION_START = 6,
        /// Ends a transaction: `T` commits, `F` aborts. After `EAGAIN`, retry the whole
        /// transaction.
        TRANSACTION_END = 7,
        /// Introduces a domain to the daemon; privileged.
        INTRODUCE = 8,
        /// Tells the daemon that a domain is gone; privileged.
        RELEASE = 9,
        /// Asks for the path of a domain, given in decimal.
        GET_DOMAIN_PATH = 10,
        /// Writes a node: path, NUL, value without NUL.
        WRITE = 11,
        /// Creates a node with an empty value.
        MKDIR = 12,
        /// Removes a node and everything below it.
        RM = 13,
        /// Sets a node's permissions.
        SET_PERMS = 14,
        /// From the daemon, unsolicited: a watch fired. Path, NUL, token, NUL.
        WATCH_EVENT = 15,
        /// From the daemon: the request failed. One of the names in [`XSD_ERRORS`] and a NUL.
        ERROR = 16,
        /// Asks whether a domain, given in decimal, is known; privileged.
        IS_DOMAIN_INTRODUCED = 17,
        /// Tells the daemon that a domain has resumed; privileged.
        RESUME = 18,
        /// Lets a domain act for another one; privileged.
        SET_TARGET = 19,
        /// Removes all watches and transactions of this connection.
        RESET_WATCHES = 21,
        /// Lists some of a node's children.
        DIRECTORY_PART = 22,
        /// No message has this type.
        INVALID = 0xffff,
    }
}

/// `xsd_errors`: the names that the payload of an [`XsMessageType::ERROR`] may have.
pub const XSD_ERRORS: [(Errno, &str); 16] = [
    (Errno::EINVAL, "EINVAL"),
    (Errno::EACCES, "EACCES"),
    (Errno::EEXIST, "EEXIST"),
    (Errno::EISDIR, "EISDIR"),
    (Errno::ENOENT, "ENOENT"),
    (Errno::ENOMEM, "ENOMEM"),
    (Errno::ENOSPC, "ENOSPC"),
    (Errno::EIO, "EIO"),
    (Errno::ENOTEMPTY, "ENOTEMPTY"),
    (Errno::ENOSYS, "ENOSYS"),
    (Errno::EROFS, "EROFS"),
    (Errno::EBUSY, "EBUSY"),
    (Errno::EAGAIN, "EAGAIN"),
    (Errno::EISCONN, "EISCONN"),
    (Errno::E2BIG, "E2BIG"),
    (Errno::EPERM, "EPERM"),
];

/// The header of every message, followed by `len` bytes of payload.
#[doc(alias = "xsd_sockmsg")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XsdSockmsg {
    /// The message's type. The C header's `type`.
    #[doc(alias = "type")]
    pub type_: XsMessageType,
    /// Chosen by the guest, repeated in the answer; 0 in a watch event.
    pub req_id: u32,
    /// The transaction's number, or 0 for none.
    pub tx_id: u32,
    /// The length of the payload in bytes, at most [`XENSTORE_PAYLOAD_MAX`].
    pub len: u32,
}
layout!(XsdSockmsg: 16 { type_: 0, req_id: 4, tx_id: 8, len: 12 });

/// xenstore's two rings.
///
/// Indices run freely over 32 bits; the position is the index modulo [`XENSTORE_RING_SIZE`]. A
/// producer writes the bytes first and then its index. A message may be longer than the ring.
#[doc(alias = "xenstore_domain_interface")]
#[repr(C)]
#[derive(Debug)]
pub struct XenstoreDomainInterface {
    /// Requests, from the guest.
    pub req: [AtomicU8; XENSTORE_RING_SIZE],
    /// Answers and watch events, to the guest.
    pub rsp: [AtomicU8; XENSTORE_RING_SIZE],
    /// The total bytes taken from `req`; written by the daemon.
    pub req_cons: AtomicU32,
    /// The total bytes put into `req`; written by the guest.
    pub req_prod: AtomicU32,
    /// The total bytes taken from `rsp`; written by the guest.
    pub rsp_cons: AtomicU32,
    /// The total bytes put into `rsp`; written by the daemon.
    pub rsp_prod: AtomicU32,
    /// `XENSTORE_SERVER_FEATURE_*`; written by the daemon.
    pub server_features: AtomicU32,
    /// [`XENSTORE_CONNECTED`] or [`XENSTORE_RECONNECT`].
    pub connection: AtomicU32,
    /// `XENSTORE_ERROR_*`; written by the daemon.
    pub error: AtomicU32,
}
layout!(XenstoreDomainInterface: 2076 {
    req: 0, rsp: 1024, req_cons: 2048, req_prod: 2052, rsp_cons: 2056, rsp_prod: 2060,
    server_features: 2064, connection: 2068, error: 2072,
});

impl XenstoreDomainInterface {
    /// Returns empty rings, connected: all zero.
    pub const fn new() -> Self {
        Self {
            req: [const { AtomicU8::new(0) }; XENSTORE_RING_SIZE],
            rsp: [const { AtomicU8::new(0) }; XENSTORE_RING_SIZE],
            req_cons: AtomicU32::new(0),
            req_prod: AtomicU32::new(0),
            rsp_cons: AtomicU32::new(0),
            rsp_prod: AtomicU32::new(0),
            server_features: AtomicU32::new(0),
            connection: AtomicU32::new(0),
            error: AtomicU32::new(0),
        }
    }
}

impl Default for XenstoreDomainInterface {
    fn default() -> Self {
        Self::new()
    }
}
