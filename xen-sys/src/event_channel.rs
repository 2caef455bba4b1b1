// SPDX-License-Identifier: MIT OR Apache-2.0
//! `event_channel.h`: event channels in the two-level layout, and the operations on them.
//!
//! A port is the local number of one end of a channel. 0 is never a port.

/// The number of ports in the two-level layout, 0 included. Each has a bit in `SharedInfo`.
pub const EVTCHN_2L_NR_CHANNELS: u32 = 4096;

c_enum! {
    /// `EVTCHNOP_*`: first argument of `event_channel_op`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct EvtchnOp(u32) {
        /// Takes an [`EvtchnBindInterdomain`].
        BIND_INTERDOMAIN = 0,
        /// Takes an [`EvtchnBindVirq`].
        BIND_VIRQ = 1,
        /// Binds a physical interrupt. Not used.
        BIND_PIRQ = 2,
        /// Takes an [`EvtchnClose`].
        CLOSE = 3,
        /// Takes an [`EvtchnSend`].
        SEND = 4,
        /// Takes an [`EvtchnStatus`].
        STATUS = 5,
        /// Takes an [`EvtchnAllocUnbound`].
        ALLOC_UNBOUND = 6,
        /// Binds a port for interrupts between the domain's own VCPUs. Not used.
        BIND_IPI = 7,
        /// Chooses the VCPU that a port notifies. Not used.
        BIND_VCPU = 8,
        /// Takes an [`EvtchnUnmask`].
        UNMASK = 9,
        /// Takes an [`EvtchnReset`].
        RESET = 10,
        /// Switches to the FIFO layout. Not used.
        INIT_CONTROL = 11,
        /// Grows the FIFO layout. Not used.
        EXPAND_ARRAY = 12,
        /// Sets a port's priority (FIFO layout). Not used.
        SET_PRIORITY = 13,
    }
}

c_enum! {
    /// `EVTCHNSTAT_*`: a port's state.
    #[derive(PartialOrd, Ord, Default)]
    pub struct EvtchnState(u32) {
        /// Not in use.
        CLOSED = 0,
        /// Waits for the remote domain to bind. A bound port returns to this state, without an
        /// event, when the other end is closed or its domain dies.
        UNBOUND = 1,
        /// Connected to another port, of the same or another domain.
        INTERDOMAIN = 2,
        /// A physical interrupt.
        PIRQ = 3,
        /// A virtual interrupt.
        VIRQ = 4,
        /// For interrupts between the domain's own VCPUs.
        IPI = 5,
    }
}

/// Allocates a port that one other domain may bind to.
#[doc(alias = "evtchn_alloc_unbound")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvtchnAllocUnbound {
    /// In: whose port; an ordinary guest passes `DOMID_SELF`.
    pub dom: u16,
    /// In: who may bind to it; `DOMID_SELF` for a loop.
    pub remote_dom: u16,
    /// Out: the new port.
    pub port: u32,
}
layout!(EvtchnAllocUnbound: 8 { dom: 0, remote_dom: 2, port: 4 });

/// Connects a new port to a remote domain's unbound port.
///
/// The new port becomes pending at once: expect one event without a cause.
#[doc(alias = "evtchn_bind_interdomain")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvtchnBindInterdomain {
    /// In: who allocated the remote port; `DOMID_SELF` for a loop.
    pub remote_dom: u16,
    /// Zero.
    pub _pad: u16,
    /// In: the port, in the remote domain's numbers.
    pub remote_port: u32,
    /// Out: the new port.
    pub local_port: u32,
}
layout!(EvtchnBindInterdomain: 12 { remote_dom: 0, _pad: 2, remote_port: 4, local_port: 8 });

/// Binds a new port to a virtual interrupt.
#[doc(alias = "evtchn_bind_virq")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvtchnBindVirq {
    /// In: which interrupt.
    pub virq: crate::xen::Virq,
    /// In: the VCPU to notify.
    pub vcpu: u32,
    /// Out: the new port.
    pub port: u32,
}
layout!(EvtchnBindVirq: 12 { virq: 0, vcpu: 4, port: 8 });

/// Closes a port. The other end returns to [`EvtchnState::UNBOUND`] without an event.
#[doc(alias = "evtchn_close")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvtchnClose {
    /// In: the port.
    pub port: u32,
}
layout!(EvtchnClose: 4 { port: 0 });

/// Makes the other end of a channel pending. On an unbound port it succeeds without effect.
#[doc(alias = "evtchn_send")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvtchnSend {
    /// In: our end.
    pub port: u32,
}
layout!(EvtchnSend: 4 { port: 0 });

/// Queries a port's state.
///
/// The last three fields are the C header's union, flattened. Xen writes only those that the state
/// uses:
///
/// | `status`      | `u_dom`           | `u_high`    | `u_port`        |
/// |---------------|-------------------|-------------|-----------------|
/// | `UNBOUND`     | who may bind      | unspecified | unspecified     |
/// | `INTERDOMAIN` | the remote domain | unspecified | the remote port |
/// | `VIRQ`,`PIRQ` | number, low half  | high half   | unspecified     |
#[doc(alias = "evtchn_status")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvtchnStatus {
    /// In: whose port; an ordinary guest passes `DOMID_SELF`.
    pub dom: u16,
    /// Zero.
    pub _pad: u16,
    /// In: the port.
    pub port: u32,
    /// Out: its state.
    pub status: EvtchnState,
    /// Out: the VCPU it notifies.
    pub vcpu: u32,
    /// Out: `u.unbound.dom`, `u.interdomain.dom`, or the low half of `u.virq` and `u.pirq`. Domains
    /// are reported by their domid, never as `DOMID_SELF`.
    pub u_dom: u16,
    /// Out: the high half of `u.virq` and `u.pirq`.
    pub u_high: u16,
    /// Out: `u.interdomain.port`.
    pub u_port: u32,
}
layout!(EvtchnStatus: 24 {
    dom: 0, _pad: 2, port: 4, status: 8, vcpu: 12, u_dom: 16, u_high: 18, u_port: 20,
});

/// Unmasks a port, and raises the upcall if it was pending.
#[doc(alias = "evtchn_unmask")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvtchnUnmask {
    /// In: the port.
    pub port: u32,
}
layout!(EvtchnUnmask: 4 { port: 0 });

/// Closes all ports of a domain, including the console's and xenstore's.
#[doc(alias = "evtchn_reset")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvtchnReset {
    /// In: whose ports; an ordinary guest passes `DOMID_SELF`.
    pub dom: u16,
}
layout!(EvtchnReset: 2 { dom: 0 });
