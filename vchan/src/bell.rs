// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a stream needs from its event channel and the clock.

use drivers::Error;

/// One end of an event channel to the peer.
pub trait Bell {
    /// Number of events delivered since it was opened: a mark for [`Bell::wait_beyond`].
    fn delivered(&self) -> u64;

    /// Waits until more than `mark` events have been delivered.
    fn wait_beyond(&self, mark: u64) -> impl Future<Output = ()>;

    /// Sends an event to the peer; dropped if nobody is there.
    ///
    /// # Errors
    /// The system's, if the channel is not open.
    fn ring(&self) -> Result<(), Error>;

    /// Whether the peer's end is open. Asks the hypervisor.
    fn is_bound(&self) -> bool;

    /// The clock, in nanoseconds.
    fn now(&self) -> u64;

    /// Completes when [`Bell::now`] reaches `deadline`.
    fn sleep_until(&self, deadline: u64) -> impl Future<Output = ()>;
}
