// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels on FakeXen, with the 2-level ABI.

use core::sync::atomic::Ordering;

use xen_sys::event_channel::{EvtchnState, EvtchnStatus};
use xen_sys::xen::{DOMID_SELF, Virq};

use super::WorldState;
use super::domain::Domain;
use drivers::Errno;

/// One port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Channel {
    #[default]
    Closed,
    /// Reserved by Xen, as port 0 is.
    Reserved,
    Unbound(u16),
    Interdomain(u16, u32),
    Virq(Virq),
    /// Bound to the console daemon in dom0.
    Console,
    /// Bound to the xenstore daemon in dom0.
    XenStore,
}

impl Domain {
    fn new_port(&mut self, channel: Channel) -> Result<u32, Errno> {
        let free = self.channels.iter().position(|channel| *channel == Channel::Closed);
        let port = match free {
            Some(free) => free,
            None if self.channels.len() <= self.config.max_ports as usize => {
                self.channels.push(Channel::Closed);
                self.channels.len() - 1
            }
            None => return Err(Errno::ENOSPC),
        };
        self.channels[port] = channel;
        Ok(port as u32)
    }

    /// Marks a port pending, as Xen does: no effect if it's pending already.
    pub(super) fn set_pending(&self, port: u32) {
        let shared = &self.pages.shared_info;
        let (word, bit) = (port as usize / 64, 1 << (port % 64));
        if shared.evtchn_pending[word].fetch_or(bit, Ordering::SeqCst) & bit != 0 {
            return;
        }
        if shared.evtchn_mask[word].load(Ordering::SeqCst) & bit != 0 {
            return;
        }
        let vcpu = &shared.vcpu_info[0];
        // If the word was selected already, Xen takes the upcall to be pending.
        if vcpu.evtchn_pending_sel.fetch_or(1 << word, Ordering::SeqCst) & (1 << word) == 0 {
            vcpu.evtchn_upcall_pending.store(1, Ordering::SeqCst);
        }
    }
}

impl WorldState {
    pub(super) fn alloc_unbound(&mut self, domid: u16, remote: u16) -> Result<u32, Errno> {
        // Xen checks only that the domid is in range.
        let remote = if remote == DOMID_SELF { domid } else { remote };
        self.domain(domid).new_port(Channel::Unbound(remote))
    }

    pub(super) fn bind_interdomain(
        &mut self,
        domid: u16,
        remote: u16,
        remote_port: u32,
    ) -> Result<u32, Errno> {
        let remote = self.resolve(domid, remote).ok_or(Errno::ESRCH)?;
        let offered = self.domain(remote).channels.get(remote_port as usize).copied();
        if offered != Some(Channel::Unbound(domid)) {
            return Err(Errno::EINVAL);
        }
        let port = self.domain(domid).new_port(Channel::Interdomain(remote, remote_port))?;
        self.domain(remote).channels[remote_port as usize] = Channel::Interdomain(domid, port);
        // The peer may have sent before this end was bound.
        self.domain(domid).set_pending(port);
        Ok(port)
    }

    pub(super) fn bind_virq(&mut self, domid: u16, virq: Virq) -> Result<u32, Errno> {
        let domain = self.domain(domid);
        if domain.channels.contains(&Channel::Virq(virq)) {
            return Err(Errno::EEXIST);
        }
        domain.new_port(Channel::Virq(virq))
    }

    pub(super) fn close(&mut self, domid: u16, port: u32) -> Result<(), Errno> {
        let channel = self.domain(domid).channels.get_mut(port as usize).ok_or(Errno::EINVAL)?;
        match core::mem::take(channel) {
            Channel::Closed => Err(Errno::EINVAL),
            Channel::Reserved => {
                *channel = Channel::Reserved;
                Err(Errno::EINVAL)
            }
            Channel::Interdomain(remote, remote_port) => {
                // Xen sends no event: the peer has to query its port's status.
                self.domain(remote).channels[remote_port as usize] = Channel::Unbound(domid);
                Ok(())
            }
            Channel::Unbound(_) | Channel::Virq(_) | Channel::Console | Channel::XenStore => Ok(()),
        }
    }

    pub(super) fn close_all_ports(&mut self, domid: u16) {
        for port in 0..self.domain(domid).channels.len() as u32 {
            // Closed ports return an error.
            let _ = self.close(domid, port);
        }
    }

    pub(super) fn send(&mut self, domid: u16, port: u32) -> Result<(), Errno> {
        match self.domain(domid).channels.get(port as usize) {
            Some(Channel::Interdomain(remote, remote_port)) => {
                let (remote, remote_port) = (*remote, *remote_port);
                self.domain(remote).set_pending(remote_port);
                Ok(())
            }
            // The daemon polls its rings.
            Some(Channel::Unbound(_) | Channel::XenStore) => Ok(()),
            Some(Channel::Console) => {
                self.domain(domid).console_daemon();
                Ok(())
            }
            _ => Err(Errno::EINVAL),
        }
    }

    pub(super) fn port_status(&mut self, domid: u16, op: &mut EvtchnStatus) -> Result<(), Errno> {
        let of = self.resolve(domid, op.dom).ok_or(Errno::ESRCH)?;
        let channel = self.domain(of).channels.get(op.port as usize).ok_or(Errno::EINVAL)?;
        // Only dom0 may query another domain's ports, but from the error anybody can tell that the
        // domain exists and has the port.
        if of != domid && domid != 0 {
            return Err(Errno::EPERM);
        }
        (op.status, op.u_dom, op.u_high, op.u_port) = match *channel {
            Channel::Closed | Channel::Reserved => (EvtchnState::CLOSED, 0, 0, 0),
            Channel::Unbound(remote) => (EvtchnState::UNBOUND, remote, 0, 0),
            Channel::Interdomain(remote, port) => (EvtchnState::INTERDOMAIN, remote, 0, port),
            Channel::Virq(virq) => (EvtchnState::VIRQ, virq.0 as u16, (virq.0 >> 16) as u16, 0),
            Channel::Console | Channel::XenStore => (EvtchnState::INTERDOMAIN, 0, 0, 1),
        };
        Ok(())
    }
}
