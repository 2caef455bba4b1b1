// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels, with the 2-level ABI: 4,096 ports, each with one pending bit.
//!
//! An event carries no data and no count. Xen sets the port's pending bit; [`Events::dispatch`]
//! clears it and *then* wakes the waiters, so a later send sets it again: no event is lost, though
//! several sends may become one event. Upcalls (Xen's interrupts) stay masked while code runs; the
//! idle loop calls `dispatch` and blocks only if nothing was pending.
//!
//! This refuses to use FIFO event channels: they are for many ports and for priorities, which such
//! a guest doesn't have, and they come with advisories of their own (XSA-107, 188, 221, 358, 359).

mod bits;
#[cfg(test)]
mod orders;
mod port;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::lock::Mutex;
use xen_sys::event_channel::{
    EvtchnAllocUnbound, EvtchnBindInterdomain, EvtchnBindVirq, EvtchnClose, EvtchnStatus,
};
use xen_sys::xen::{DOMID_SELF, SharedInfo, Virq};

use self::bits::{Place, Ports, Upcall, WORDS};
pub use self::port::{Port, PortStatus};
use crate::boot::SharedPage;
use crate::memory::Platform;
use crate::waiters::Waiters;
use crate::words::{Watched, Word};
use crate::{Call, Counters, DomId, Errno, Error, PortNumber};

/// This domain's event channels. Clones refer to the same channels.
#[derive(Debug)]
pub struct Events<X>(Arc<Channels<X>>);

#[derive(Debug)]
struct Channels<X> {
    xen: X,
    shared_info: SharedPage<X, SharedInfo>,
    /// By port number, up to the highest port ever opened.
    ports: Mutex<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    /// The number of [`Port`]s that keep it open; 0 for a port that we don't own.
    holders: u32,
    /// Events delivered since it was opened.
    delivered: u64,
    /// The waiters. Room is made before the port is used, so that two need no allocation.
    /// For a closed port: stale waiters.
    waiters: Waiters,
}

impl Entry {
    const CLOSED: Self = Self { holders: 0, delivered: 0, waiters: Waiters::new() };

    /// Adds a holder.
    ///
    /// # Errors
    /// EOVERFLOW if the counter is full: a holder passed to `mem::forget` stays counted.
    fn hold(&mut self) -> Result<(), Error> {
        let held = Error::Local(Errno::EOVERFLOW, &"the port has 4294967295 holders");
        self.holders = self.holders.checked_add(1).ok_or(held)?;
        Ok(())
    }
}

impl<X: Platform> Events<X> {
    /// Masks every port; opening a port unmasks it.
    pub(crate) fn bring_up(xen: &X, shared_info: SharedPage<X, SharedInfo>) -> Self {
        for word in 0..WORDS {
            shared_info.word(|page| &page.evtchn_mask[word]).store(u64::MAX, Ordering::Relaxed);
        }
        Self(Arc::new(Channels { xen: xen.clone(), shared_info, ports: Mutex::new(Vec::new()) }))
    }

    /// Offers a port to `peer`, which may bind it once.
    ///
    /// # Errors
    /// ENOSPC if no port is left. Xen doesn't check that the peer exists.
    pub fn alloc_unbound(&self, peer: DomId) -> Result<Port<X>, Error> {
        self.alloc(peer.get())
    }

    fn alloc(&self, remote_dom: u16) -> Result<Port<X>, Error> {
        let mut op = EvtchnAllocUnbound { dom: DOMID_SELF, remote_dom, ..Default::default() };
        self.0
            .xen
            .evtchn_alloc_unbound(&mut op)
            .map_err(|errno| Error::Hypercall(Call::EvtchnAllocUnbound, errno))?;
        self.adopt(PortNumber(op.port))
    }

    /// Binds a port that `peer` offers to us. It starts out pending, in case the peer has already
    /// sent an event, so the first wait returns immediately.
    ///
    /// # Errors
    /// ESRCH if the domain doesn't exist, EINVAL if it doesn't offer us that port.
    pub fn bind_interdomain(&self, peer: DomId, port: PortNumber) -> Result<Port<X>, Error> {
        let mut op = EvtchnBindInterdomain {
            remote_dom: peer.get(),
            remote_port: port.0,
            ..Default::default()
        };
        self.0
            .xen
            .evtchn_bind_interdomain(&mut op)
            .map_err(|errno| Error::Hypercall(Call::EvtchnBindInterdomain, errno))?;
        self.adopt(PortNumber(op.local_port))
    }

    /// Binds a virtual interrupt to vCPU 0, the only one.
    ///
    /// # Errors
    /// EEXIST if it is already bound, EINVAL if it is unknown.
    pub fn bind_virq(&self, virq: Virq) -> Result<Port<X>, Error> {
        let mut op = EvtchnBindVirq { virq, ..Default::default() };
        self.0
            .xen
            .evtchn_bind_virq(&mut op)
            .map_err(|errno| Error::Hypercall(Call::EvtchnBindVirq, errno))?;
        self.adopt(PortNumber(op.port))
    }

    /// Takes over a port that is already open, such as the console's. Like any port, it closes with
    /// its last holder.
    ///
    /// # Errors
    /// ENOMEM, after closing the port; EINVAL for a number that no port has.
    pub(crate) fn adopt(&self, number: PortNumber) -> Result<Port<X>, Error> {
        let Some(place) = Place::of(number) else {
            return Err(Error::Local(Errno::EINVAL, &"no port has that number"));
        };
        let mut ports = self.0.ports.lock();
        let index = number.0 as usize;
        // Wakers of the channel that had this number before, to be dropped outside the lock.
        let closed = ports.get_mut(index).filter(|entry| entry.holders == 0);
        let stale = closed.map(|entry| entry.waiters.take());
        let Some(entry) = room_for(&mut ports, index) else {
            drop(ports);
            let _ = self.0.xen.evtchn_close(EvtchnClose { port: number.0 });
            return Err(Error::NO_MEMORY);
        };
        if entry.holders == 0 {
            // Don't count the events of the channel that had this number before.
            entry.delivered = 0;
        }
        entry.hold()?;
        let seen = AtomicU64::new(entry.delivered);
        bits::unmask(&self.0.ports_of(place.word), &self.0.upcall(), place);
        drop(ports);
        drop(stale);
        Ok(Port { events: self.clone(), number, seen })
    }

    /// Finds our own domid without xenstore: a port offered to DOMID_SELF reports it.
    ///
    /// # Errors
    /// Those of the hypercalls.
    pub(crate) fn own_domid(&self) -> Result<DomId, Error> {
        let port = self.alloc(DOMID_SELF)?;
        let unknown = Error::Local(Errno::ENODEV, &"Xen doesn't report our own domain number");
        match port.status()? {
            PortStatus::Unbound(domid) => DomId::new(domid).ok_or(unknown),
            _ => Err(unknown),
        }
    }

    /// Adds a holder to an open port.
    ///
    /// # Errors
    /// EINVAL if the port is not open or not ours; EOVERFLOW beyond 4,294,967,295 holders, which
    /// takes `mem::forget`.
    pub fn hold(&self, number: PortNumber) -> Result<Port<X>, Error> {
        match self.0.ports.lock().get_mut(number.0 as usize) {
            Some(entry) if entry.holders > 0 => {
                entry.hold()?;
                let seen = AtomicU64::new(entry.delivered);
                Ok(Port { events: self.clone(), number, seen })
            }
            _ => Err(Error::Local(Errno::EINVAL, &"no such event channel port is open")),
        }
    }

    /// Whether a domain exists. This needs no privilege: when asked about another domain's port,
    /// Xen looks up the domain before it denies access to its ports (evtchn_status in
    /// xen/common/event_channel.c).
    ///
    /// # Errors
    /// The hypercall's, if it doesn't give the answer.
    pub fn domain_exists(&self, domid: DomId) -> Result<bool, Error> {
        let mut op = EvtchnStatus { dom: domid.get(), ..Default::default() };
        match self.0.xen.evtchn_status(&mut op) {
            Ok(()) | Err(Errno::EPERM | Errno::EACCES | Errno::EINVAL) => Ok(true),
            Err(Errno::ESRCH) => Ok(false),
            Err(errno) => Err(Error::Hypercall(Call::EvtchnStatus, errno)),
        }
    }

    /// Returns the number of open ports.
    pub fn open_ports(&self) -> u32 {
        self.0.ports.lock().iter().filter(|entry| entry.holders > 0).count() as u32
    }

    /// Whether an event waits to be dispatched: it came after the last [`Events::dispatch`] began.
    pub fn is_any_pending(&self) -> bool {
        self.0.upcall().pending.load(Ordering::SeqCst) != 0
    }

    /// Makes one pass over the pending bits: clears each, then wakes its waiters. Returns the
    /// number of events. One that comes meanwhile may be left for the next pass; then
    /// [`Events::is_any_pending`], and Xen lets no vCPU block.
    pub fn dispatch(&self) -> usize {
        let words = bits::take_words(&self.0.upcall());
        let mut events = 0;
        for word in words {
            bits::take_events(&self.0.ports_of(word), |bit| {
                events += 1;
                self.deliver(word * 64 + bit);
            });
        }
        Counters::add(&self.0.xen.counters().events_in, events as u64);
        events
    }

    /// Delivers one event of a port: wakes the waiters outside the lock.
    fn deliver(&self, port: usize) {
        let Some(waiters) = self.0.ports.lock().get_mut(port).map(|entry| {
            entry.delivered += 1;
            entry.waiters.take()
        }) else {
            return;
        };
        if let Some(room) = waiters.wake()
            && let Some(entry) = self.0.ports.lock().get_mut(port)
        {
            entry.waiters.put_back(room);
        }
    }

    /// Removes a holder; the last one closes the port.
    ///
    /// It runs no waker code, so a port may be dropped under any lock. Wakers of abandoned futures
    /// stay until the number is reused; nobody waits without a holder.
    fn release(&self, number: PortNumber) {
        let ports = &mut *self.0.ports.lock();
        let (Some(entry), Some(place)) = (ports.get_mut(number.0 as usize), Place::of(number))
        else {
            return;
        };
        entry.holders -= 1;
        if entry.holders > 0 {
            return;
        }
        let words = self.0.ports_of(place.word);
        bits::mask(&words, place);
        // Closing fails only if the port is already closed, which is fine.
        let _ = self.0.xen.evtchn_close(EvtchnClose { port: number.0 });
        // Xen may reuse the number; its next owner must not see our last event.
        bits::forget(&words, place);
    }
}

impl<X: Platform> Channels<X> {
    fn upcall(&self) -> Upcall<Watched<'_, X, AtomicU8>, Watched<'_, X, AtomicU64>> {
        Upcall {
            pending: self.shared_info.word(|page| &page.vcpu_info[0].evtchn_upcall_pending),
            selector: self.shared_info.word(|page| &page.vcpu_info[0].evtchn_pending_sel),
        }
    }

    fn ports_of(&self, word: usize) -> Ports<Watched<'_, X, AtomicU64>> {
        Ports {
            pending: self.shared_info.word(|page| &page.evtchn_pending[word % WORDS]),
            mask: self.shared_info.word(|page| &page.evtchn_mask[word % WORDS]),
        }
    }
}

impl<X> Clone for Events<X> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Returns the entry of port `index`, with room for waiters; `None` if memory runs out.
fn room_for(ports: &mut Vec<Entry>, index: usize) -> Option<&mut Entry> {
    let more = (index + 1).saturating_sub(ports.len());
    ports.try_reserve(more).ok()?;
    ports.resize_with(ports.len() + more, || Entry::CLOSED);
    let entry = ports.get_mut(index)?;
    entry.waiters.make_room(1).ok()?;
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_with_the_most_holders_takes_no_more_and_stays_open() {
        let mut entry = Entry { holders: u32::MAX - 1, ..Entry::CLOSED };
        assert_eq!(entry.hold(), Ok(()));
        for _ in 0..3 {
            assert_eq!(entry.hold().map_err(|error| error.errno()), Err(Errno::EOVERFLOW));
            assert_eq!(entry.holders, u32::MAX);
        }
    }
}
