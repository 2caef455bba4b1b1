//! Event channels. The operations are those of xen/include/public/event_channel.h.
#![expect(unsafe_code, reason = "hypercalls")]

use drivers::{Call, Errno};
use xen_sys::event_channel::{
    EvtchnAllocUnbound, EvtchnBindInterdomain, EvtchnBindVirq, EvtchnClose, EvtchnOp, EvtchnSend,
    EvtchnStatus,
};
use xen_sys::xen::Hypercall;

use super::{address, call};

/// Declares one function per operation; each takes its own structure, which fixes the layout.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident($argument:ty) = $op:ident, $kind:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// The hypercall's own.
        pub fn $name(op: &mut $argument) -> Result<(), Errno> {
            let args = [u64::from(EvtchnOp::$op.0), address(op), 0, 0];
            // SAFETY: `op` is the structure of this operation; Xen reads and writes only it.
            unsafe { call(Call::$kind, Hypercall::EVENT_CHANNEL_OP, args) }.map(drop)
        }
    )*};
}

operations! {
    /// `EVTCHNOP_alloc_unbound`.
    evtchn_alloc_unbound(EvtchnAllocUnbound) = ALLOC_UNBOUND, EvtchnAllocUnbound;
    /// `EVTCHNOP_bind_interdomain`.
    evtchn_bind_interdomain(EvtchnBindInterdomain) = BIND_INTERDOMAIN, EvtchnBindInterdomain;
    /// `EVTCHNOP_bind_virq`.
    evtchn_bind_virq(EvtchnBindVirq) = BIND_VIRQ, EvtchnBindVirq;
    /// `EVTCHNOP_close`.
    evtchn_close(EvtchnClose) = CLOSE, EvtchnClose;
    /// `EVTCHNOP_send`.
    evtchn_send(EvtchnSend) = SEND, EvtchnSend;
    /// `EVTCHNOP_status`.
    evtchn_status(EvtchnStatus) = STATUS, EvtchnStatus;
}
