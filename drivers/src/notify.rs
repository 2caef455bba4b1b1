//! Unmap notification: a byte to clear and an event to send when a page is let go of.
//!
//! The same request on both devices, with the numbers of Linux's headers. The order in which
//! errors are found differs between the two, so the checks are separate.

use crate::events::{Events, Port};
use crate::memory::Platform;
use crate::{Errno, Error, PortNumber};

/// `UNMAP_NOTIFY_CLEAR_BYTE`: clear the byte that the index points at.
pub const CLEAR_BYTE: u32 = 1;
/// `UNMAP_NOTIFY_SEND_EVENT`: send an event through the port.
pub const SEND_EVENT: u32 = 2;

/// What SET_UNMAP_NOTIFY asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnmapNotify {
    /// [`CLEAR_BYTE`] and [`SEND_EVENT`], or 0 for nothing.
    pub action: u32,
    /// The port for [`SEND_EVENT`].
    pub port: PortNumber,
}

impl UnmapNotify {
    /// EINVAL for an unknown action.
    pub(crate) fn check_action(self) -> Result<(), Error> {
        if self.action & !(CLEAR_BYTE | SEND_EVENT) == 0 {
            return Ok(());
        }
        Err(Error::Invalid(Errno::EINVAL, "unknown action; 1 clears a byte, 2 sends an event"))
    }

    /// A holder of the port, so that its number means this channel until the event is sent.
    /// EINVAL if it's not open.
    pub(crate) fn hold_port<X: Platform>(
        self,
        events: &Events<X>,
    ) -> Result<Option<Port<X>>, Error> {
        (self.action & SEND_EVENT != 0).then(|| events.hold(self.port)).transpose()
    }

    pub(crate) fn clears_byte(self) -> bool {
        self.action & CLEAR_BYTE != 0
    }
}

/// Sends the event of a notification.
pub(crate) fn send<X: Platform>(port: &Port<X>) {
    if let Err(error) = port.send() {
        log::warn!("unmap notification through port {}: {error}", port.number());
    }
}
