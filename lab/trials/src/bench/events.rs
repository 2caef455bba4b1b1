// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures events to this domain itself: sent, and dispatched from the pending words.

use alloc::vec::Vec;
use core::array;

use drivers::PortNumber;
use drivers::events::Port;
use drivers::memory::Platform;
use tasks::verdict::Why;
use xen_sys::event_channel::EvtchnSend;

use super::meter::{Least, Meter};
use super::{CALLS, Rows};

/// The number of ports with an event at the same time.
const MANY: usize = 33;

/// Measures all of them. Upcalls are masked while a guest runs, so an event stays pending.
pub fn measure<X: Platform>(meter: &Meter<'_, X>, rows: &mut Rows) -> Result<(), Why> {
    let (services, xen) = (meter.services(), meter.tools.xen);
    let events = &services.events;
    let pair = || {
        let offered = events.alloc_unbound(services.domid)?;
        let bound = events.bind_interdomain(services.domid, offered.number())?;
        Ok((offered, bound))
    };
    let pairs: Vec<(Port<X>, Port<X>)> = (0..MANY).map(|_| pair()).collect::<Result<_, Why>>()?;
    let port = &pairs[0].0;
    let [mut clear, mut pending, mut xen_clear, mut xen_pending] = array::from_fn(|_| Least::NONE);
    let [mut none, mut one, mut many] = array::from_fn(|_| Least::NONE);
    events.dispatch();
    for _ in 0..CALLS {
        meter.time(&mut clear, || port.send())?;
        meter.time(&mut pending, || port.send())?;
        meter.time(&mut one, || events.dispatch());
        meter.time(&mut none, || events.dispatch());
        for least in [&mut xen_clear, &mut xen_pending] {
            let PortNumber(port) = port.number();
            // The same hypercall as `send` makes, on this guest's own port.
            meter
                .time(least, || xen.evtchn_send(EvtchnSend { port }))
                .map_err(|errno| Why::new(format_args!("send: {errno}")))?;
        }
        events.dispatch();
        pairs.iter().try_for_each(|(port, _)| port.send())?;
        meter.time(&mut many, || events.dispatch());
    }
    rows.add("send", 1, clear, Some(xen_clear.ticks))?;
    rows.add("send-pending", 1, pending, Some(xen_pending.ticks))?;
    rows.add("dispatch-none", 1, none, None)?;
    rows.add("dispatch-one", 1, one, None)?;
    let further = Least { ticks: many.ticks - one.ticks, ..many };
    rows.add("dispatch-further", MANY as u32 - 1, further, None)
}
