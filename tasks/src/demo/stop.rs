// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the demo, or one run of it, ended early.

use core::fmt;

use drivers::Error;

use crate::verdict::Why;

/// Why the demo can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What was being attempted: a xenstore path, or what is missing.
    pub at: &'static str,
    /// What went wrong.
    pub error: Error,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.error)
    }
}

impl core::error::Error for Trouble {}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        trouble.error
    }
}

/// Attaches `at` to an error.
pub fn at(at: &'static str) -> impl Fn(Error) -> Trouble {
    move |error| Trouble { at, error }
}

/// Why a run with one peer ended early. The demo goes on with the next.
#[derive(Debug)]
pub enum Stop {
    /// The peer died or went silent, as described.
    Gone(&'static str),
    /// A check failed, here or at the peer.
    Failed(Why),
}

impl<T: Into<Why>> From<T> for Stop {
    fn from(why: T) -> Self {
        Stop::Failed(why.into())
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Gone(how) => f.write_str(how),
            Stop::Failed(why) => why.fmt(f),
        }
    }
}

impl core::error::Error for Stop {}
