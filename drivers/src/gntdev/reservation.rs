//! References reserved for mapping, and what became of the last try.
//!
//! Mapping consumes a [`Reservation`], so mapping over a live mapping and removing what is mapped
//! don't compile. Where Xen refuses, the reservation comes back with the error, and keeps Xen's
//! status for each reference.

use core::fmt;

use xen_sys::grant_table::GrantStatus;

use super::held::Held;
use super::{MapAccess, Mapping};
use crate::memory::Platform;
use crate::notify::UnmapNotify;
use crate::{ClaimedGrant, Error, Pages};

/// A call that failed, and the value it was made on, as it was.
#[derive(Debug)]
pub struct Failed<T> {
    /// What comes back.
    pub value: T,
    /// Why it failed.
    pub error: Error,
}

impl<T> fmt::Display for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> core::error::Error for Failed<T> {}

/// For `?`: the value that comes back is dropped, and with it what it held.
impl<T> From<Failed<T>> for Error {
    fn from(failed: Failed<T>) -> Self {
        failed.error
    }
}

/// References that are reserved and not mapped, with addresses of their own. Dropping it removes
/// them.
#[derive(Debug)]
pub struct Reservation<X: Platform>(pub(super) Held<X>);

impl<X: Platform> Reservation<X> {
    /// How many references it has.
    pub fn pages(&self) -> Pages {
        self.0.pages()
    }

    /// Maps all of it with one hypercall, or nothing.
    ///
    /// # Errors
    /// EINVAL where Xen refuses, ENOMEM for its status no_space. The reservation comes back, and
    /// [`Reservation::statuses`] tells each answer.
    pub fn map<A: MapAccess>(mut self) -> Result<Mapping<X, A>, Failed<Self>> {
        match self.0.map(A::ACCESS) {
            Ok(()) => Ok(Mapping::new(self.0)),
            Err(error) => Err(Failed { value: self, error }),
        }
    }

    /// Each reference, and what Xen said to it the last time it was mapped.
    pub fn statuses(&self) -> impl Iterator<Item = (ClaimedGrant, GrantStatus)> {
        self.0.region().into_iter().flat_map(|region| region.statuses())
    }

    /// Sets what is to happen when it's let go of, mapped or not: the byte is cleared when it's
    /// unmapped, the event is sent when it's dropped; each once. A later call takes the place of an
    /// earlier one.
    ///
    /// # Errors
    /// EINVAL for an event on a port that is not open, then for a byte outside; ENOMEM.
    pub fn set_notify(&mut self, notify: UnmapNotify) -> Result<(), Error> {
        self.0.set_notify(notify)
    }
}
