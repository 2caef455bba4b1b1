// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors of a channel.

use core::fmt;

use drivers::Errno;
use embedded_io_async::ErrorKind;

/// Why a call failed. It moved no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The peer wrote something invalid, as described. This channel has ended; others are
    /// unaffected.
    PeerViolation(&'static str),
    /// The peer has closed its end, or is gone.
    Closed,
    /// The packet is larger than the ring, so it could never be sent or received.
    TooLong,
    /// An error of the services.
    System(drivers::Error),
}

impl Error {
    /// The corresponding errno.
    pub fn errno(&self) -> Errno {
        match self {
            Error::PeerViolation(_) => Errno::EIO,
            Error::Closed => Errno::EPIPE,
            Error::TooLong => Errno::E2BIG,
            Error::System(error) => error.errno(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::PeerViolation(words) => write!(f, "the peer broke the protocol: {words}"),
            Error::Closed => f.write_str("the peer has closed its end"),
            Error::TooLong => f.write_str("the packet is longer than the ring"),
            Error::System(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::PeerViolation(_) => ErrorKind::InvalidData,
            Error::Closed => ErrorKind::BrokenPipe,
            Error::TooLong => ErrorKind::InvalidInput,
            Error::System(error) if error.errno() == Errno::ENOMEM => ErrorKind::OutOfMemory,
            Error::System(error) if error.errno() == Errno::ETIMEDOUT => ErrorKind::TimedOut,
            Error::System(_) => ErrorKind::Other,
        }
    }
}

impl From<drivers::Error> for Error {
    fn from(error: drivers::Error) -> Self {
        Error::System(error)
    }
}
