// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels. Each has a file of its own, which closes it even if the program is killed.

use std::fs::File;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use drivers::{DomId, Error, PortNumber};
use vchan::Bell;

use crate::{device, wait};

/// One end of an event channel. Dropping it closes it.
#[derive(Debug)]
pub struct Port {
    file: Arc<File>,
    port: PortNumber,
    peer: DomId,
    /// To ask Xen for the port's state; only some programs may.
    privcmd: Option<File>,
    delivered: AtomicU64,
}

impl Port {
    pub(crate) fn offer(peer: DomId) -> Result<Self, Error> {
        Self::new(peer, |file| device::offer(file, peer))
    }

    pub(crate) fn bind(peer: DomId, port: PortNumber) -> Result<Self, Error> {
        Self::new(peer, |file| device::bind(file, peer, port))
    }

    fn new(
        peer: DomId,
        open: impl FnOnce(&File) -> Result<PortNumber, Error>,
    ) -> Result<Self, Error> {
        let file = device::evtchn()?;
        let port = open(&file)?;
        let (file, privcmd) = (Arc::new(file), device::privcmd());
        Ok(Self { file, port, peer, privcmd, delivered: AtomicU64::new(0) })
    }

    pub(crate) fn number(&self) -> PortNumber {
        self.port
    }
}

impl Bell for Port {
    fn delivered(&self) -> u64 {
        let mut ports = [0; 64];
        // Nothing to read means no event.
        let read = (&*self.file).read(&mut ports).unwrap_or(0);
        let ports = ports.get(..read).unwrap_or_default();
        if !ports.is_empty() {
            // A port stays masked until it's written back. Events until then count as one.
            let _ = (&*self.file).write(ports);
        }
        let new = (ports.len() / 4) as u64;
        self.delivered.fetch_add(new, Ordering::Relaxed) + new
    }

    fn wait_beyond(&self, mark: u64) -> impl Future<Output = ()> {
        poll_fn(move |_| {
            if self.delivered() > mark {
                return Poll::Ready(());
            }
            wait::wake_when_readable(&self.file);
            Poll::Pending
        })
    }

    fn ring(&self) -> Result<(), Error> {
        device::notify(&self.file, self.port)
    }

    fn is_bound(&self) -> bool {
        let ask = |privcmd| device::is_bound(privcmd, self.port, self.peer).ok();
        // Linux makes hypercalls for root only, and in a domU for nobody. A peer that was destroyed
        // may still be there, though, as long as we map its pages.
        let there = || device::domain_exists(&self.file, self.peer);
        self.privcmd.as_ref().and_then(ask).unwrap_or_else(there)
    }

    fn now(&self) -> u64 {
        wait::now()
    }

    fn sleep_until(&self, deadline: u64) -> impl Future<Output = ()> {
        wait::until(deadline)
    }
}
