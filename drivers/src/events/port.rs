// SPDX-License-Identifier: MIT OR Apache-2.0
//! A holder of an open port: sends, waits, and asks who is at the other end.

use core::future::poll_fn;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Poll, Waker};
use core::time::Duration;

use xen_sys::event_channel::{EvtchnSend, EvtchnState, EvtchnStatus};
use xen_sys::xen::{DOMID_SELF, Virq};

use super::Events;
use crate::memory::Platform;
use crate::{Call, Error, PortNumber, System};

/// How often to check whether a port's peer is still there.
const ASK_INTERVAL: Duration = Duration::from_millis(400);

/// What is at the other end of one of our ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortStatus {
    /// Offered to this domain, which hasn't bound it yet, has closed its end or is gone.
    Unbound(u16),
    /// Bound to this domain's port of this number.
    Interdomain(u16, PortNumber),
    /// A virtual interrupt.
    Virq(Virq),
    /// Anything else, with Xen's number for it.
    Other(u32),
}

/// A holder of an open port. The port closes when its last holder is dropped.
#[derive(Debug)]
pub struct Port<X: Platform> {
    pub(super) events: Events<X>,
    pub(super) number: PortNumber,
    /// How many of the port's events this holder has seen.
    pub(super) seen: AtomicU64,
}

impl<X: Platform> Port<X> {
    /// Returns its number in this domain.
    pub fn number(&self) -> PortNumber {
        self.number
    }

    /// Sends an event to the other end. If nobody is there, Xen drops it without an error.
    ///
    /// # Errors
    /// EINVAL if the port is bound to a virtual interrupt.
    pub fn send(&self) -> Result<(), Error> {
        self.events
            .0
            .xen
            .evtchn_send(EvtchnSend { port: self.number.0 })
            .map_err(|errno| Error::Hypercall(Call::EvtchnSend, errno))
    }

    /// Returns what is at the other end now. Xen sends no event when a peer closes its end or dies;
    /// a port that turns from `Interdomain` to `Unbound` shows that, and asking needs no privilege.
    ///
    /// # Errors
    /// The hypercall's.
    pub fn status(&self) -> Result<PortStatus, Error> {
        let mut op = EvtchnStatus { dom: DOMID_SELF, port: self.number.0, ..Default::default() };
        self.events
            .0
            .xen
            .evtchn_status(&mut op)
            .map_err(|errno| Error::Hypercall(Call::EvtchnStatus, errno))?;
        Ok(match op.status {
            EvtchnState::UNBOUND => PortStatus::Unbound(op.u_dom),
            EvtchnState::INTERDOMAIN => PortStatus::Interdomain(op.u_dom, PortNumber(op.u_port)),
            // Xen has 24 VIRQs, so the upper half of the number is zero.
            EvtchnState::VIRQ => PortStatus::Virq(Virq(op.u_dom.into())),
            EvtchnState(other) => PortStatus::Other(other),
        })
    }

    /// Completes once nobody is bound to the port: the peer has closed its end, has crashed, was
    /// destroyed, or has not bound it yet. Xen sends no event in that case, so this asks every 400
    /// ms, by a call that needs no privilege. If the call fails, the peer counts as gone.
    pub async fn peer_gone(&self) {
        let system = System(self.events.0.xen.clone());
        while let Ok(PortStatus::Interdomain(..)) = self.status() {
            system.sleep(ASK_INTERVAL).await;
        }
    }

    /// Waits for an event that this holder hasn't seen yet. Several events that came meanwhile
    /// count as one.
    pub async fn wait(&self) {
        let seen = self.seen.load(Ordering::Relaxed);
        let delivered = poll_fn(|cx| self.poll_delivered(seen, cx.waker())).await;
        self.seen.store(delivered, Ordering::Relaxed);
    }

    /// Returns the number of events delivered since the port was opened, a mark for
    /// [`Port::wait_beyond`].
    pub fn delivered(&self) -> u64 {
        let ports = self.events.0.ports.lock();
        ports.get(self.number.0 as usize).map_or(0, |entry| entry.delivered)
    }

    /// Waits until more than `mark` events were delivered. For several tasks that wait at one port:
    /// each keeps its own mark, taken *before* it looks at the data that the event announces.
    pub fn wait_beyond(&self, mark: u64) -> impl Future<Output = ()> {
        poll_fn(move |cx| self.poll_beyond(mark, cx.waker()))
    }

    /// Whether [`Port::wait`] would return at once. Doesn't consume the event.
    pub fn is_pending(&self) -> bool {
        self.delivered() > self.seen.load(Ordering::Relaxed)
    }

    /// The poll function of [`Port::wait_beyond`], for hand-written futures.
    pub(crate) fn poll_beyond(&self, mark: u64, waker: &Waker) -> Poll<()> {
        self.poll_delivered(mark, waker).map(drop)
    }

    /// The same, with the number of events delivered.
    fn poll_delivered(&self, mark: u64, waker: &Waker) -> Poll<u64> {
        let waker = waker.clone();
        let unkept = {
            let ports = &mut *self.events.0.ports.lock();
            match ports.get_mut(self.number.0 as usize) {
                Some(entry) if entry.delivered <= mark => entry.waiters.register(waker),
                Some(entry) => return Poll::Ready(entry.delivered),
                None => return Poll::Ready(0),
            }
        };
        unkept.settle();
        Poll::Pending
    }
}

impl<X: Platform> Drop for Port<X> {
    fn drop(&mut self) {
        self.events.release(self.number);
    }
}
