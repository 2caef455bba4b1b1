// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unmap notification: a byte to clear and an event to send when pages are released.
//!
//! The typed devices take an [`UnmapNotify`]; the index devices take a [`NotifyRequest`], with the
//! numbers of Linux's headers. gntdev and gntalloc check for errors in different orders, so each
//! has its own checks.

use xen_sys::linux::gntdev::UnmapNotifyAction;

use crate::events::{Events, Port};
use crate::memory::Platform;
use crate::{Errno, Error, PortNumber};

/// `UNMAP_NOTIFY_CLEAR_BYTE`: clear the byte that the index points at.
pub const CLEAR_BYTE: u32 = UnmapNotifyAction::CLEAR_BYTE.bits();
/// `UNMAP_NOTIFY_SEND_EVENT`: send an event through the port.
pub const SEND_EVENT: u32 = UnmapNotifyAction::SEND_EVENT.bits();

const KNOWN: UnmapNotifyAction = UnmapNotifyAction::CLEAR_BYTE.union(UnmapNotifyAction::SEND_EVENT);

/// What happens when an export, a reservation or a mapping is released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnmapNotify {
    pub(crate) byte: Option<usize>,
    pub(crate) event: Option<PortNumber>,
}

impl UnmapNotify {
    /// Nothing.
    pub const NONE: Self = Self { byte: None, event: None };

    /// Sets the byte at `offset` to zero.
    pub const fn clear_byte(offset: usize) -> Self {
        Self { byte: Some(offset), event: None }
    }

    /// Sends an event through `port`. Setting the notification keeps the port open until the event
    /// is sent, even if `port` is dropped.
    pub fn event<X: Platform>(port: &Port<X>) -> Self {
        Self::NONE.and_event(port)
    }

    /// Also sends an event, as [`UnmapNotify::event`] does.
    pub fn and_event<X: Platform>(self, port: &Port<X>) -> Self {
        Self { event: Some(port.number()), ..self }
    }

    /// Returns another holder of the port, to keep it open until the event is sent.
    ///
    /// # Errors
    /// EINVAL if the port is not open.
    pub(crate) fn hold<X: Platform>(self, events: &Events<X>) -> Result<Option<Port<X>>, Error> {
        self.event.map(|port| events.hold(port)).transpose()
    }
}

/// A SET_UNMAP_NOTIFY request with plain numbers. The request's index, passed separately, selects
/// the byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyRequest {
    /// [`CLEAR_BYTE`] and [`SEND_EVENT`], or 0 for nothing.
    pub action: u32,
    /// The port for [`SEND_EVENT`].
    pub port: PortNumber,
}

impl NotifyRequest {
    /// Decodes the request. `offset` is the byte's offset in the export, reservation or mapping.
    ///
    /// # Errors
    /// EINVAL for an unknown action.
    pub fn decode(self, offset: usize) -> Result<UnmapNotify, Error> {
        let action = UnmapNotifyAction::from_bits_retain(self.action);
        if !KNOWN.contains(action) {
            return Err(Error::Local(
                Errno::EINVAL,
                &"unknown action; 1 clears a byte, 2 sends an event",
            ));
        }
        Ok(UnmapNotify {
            byte: action.contains(UnmapNotifyAction::CLEAR_BYTE).then_some(offset),
            event: action.contains(UnmapNotifyAction::SEND_EVENT).then_some(self.port),
        })
    }
}

/// Sends a notification's event.
pub(crate) fn send<X: Platform>(port: &Port<X>) {
    if let Err(error) = port.send() {
        log::warn!("unmap notification through port {}: {error}", port.number());
    }
}
