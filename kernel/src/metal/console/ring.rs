// SPDX-License-Identifier: MIT OR Apache-2.0
//! The output half of the console ring (io/console.h), for synchronous writes.
//!
//! The guest writes bytes and then `out_prod`; the daemon reads them and moves `out_cons`. The
//! daemon's index is checked: one out of range means there is no room, and nothing is overwritten.
//!
//! If the ring is full, a write waits, but no longer than a second without progress: a console that
//! nobody reads must not block the guest. After that, text is dropped until there is room.

use core::sync::atomic::{AtomicBool, Ordering, fence};

use drivers::{Hypervisor, PortNumber};
use xen_sys::event_channel::EvtchnSend;
use xen_sys::io::console::XenconsInterface;

use crate::Xen;
use crate::metal::clock;

/// How long to wait for a reader that makes no progress, in nanoseconds.
pub const PATIENCE: u64 = 1_000_000_000;

/// Set while nobody reads the ring.
static STALLED: AtomicBool = AtomicBool::new(false);

/// The ring, and the port that notifies the daemon.
#[derive(Clone, Copy, Debug)]
pub struct EarlyRing<'a> {
    /// The page shared with the daemon.
    pub page: &'a XenconsInterface,
    /// The port.
    pub port: PortNumber,
}

impl EarlyRing<'_> {
    /// Writes all of `bytes`. A newline becomes carriage return and newline, since the terminal at
    /// the other end is in raw mode.
    pub fn write(&self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(text) => {
                    self.put(text);
                    self.put(b"\r\n");
                }
                None => self.put(line),
            }
        }
        self.notify();
    }

    /// Waits until the daemon has read everything, or has stopped reading.
    pub fn drain(&self) {
        self.notify();
        self.wait_for_room(self.page.output.len());
    }

    fn put(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.room() == 0 {
                self.notify();
                self.wait_for_room(1);
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.room()));
            if now.is_empty() {
                return;
            }
            STALLED.store(false, Ordering::Relaxed);
            let produced = self.page.out_prod.load(Ordering::Relaxed);
            for (offset, &byte) in now.iter().enumerate() {
                let at = produced.wrapping_add(offset as u32) as usize % self.page.output.len();
                self.page.output[at].store(byte, Ordering::Relaxed);
            }
            // The daemon may read the bytes as soon as it sees the index, so the index goes last.
            self.page.out_prod.store(produced.wrapping_add(now.len() as u32), Ordering::Release);
            bytes = later;
        }
    }

    /// Free bytes.
    fn room(&self) -> usize {
        let produced = self.page.out_prod.load(Ordering::Relaxed);
        let used = produced.wrapping_sub(self.page.out_cons.load(Ordering::Acquire)) as usize;
        self.page.output.len().saturating_sub(used)
    }

    /// Waits for `wanted` free bytes, as long as the daemon makes progress.
    fn wait_for_room(&self, wanted: usize) {
        let mut last = self.room();
        let mut since = clock::now();
        while last < wanted && !STALLED.load(Ordering::Relaxed) {
            Xen::HERE.yield_cpu();
            let room = self.room();
            if room != last {
                (last, since) = (room, clock::now());
            } else if clock::now().saturating_sub(since) > PATIENCE {
                STALLED.store(true, Ordering::Relaxed);
            }
        }
    }

    fn notify(&self) {
        // The index must be visible before the daemon is notified.
        fence(Ordering::SeqCst);
        // A closed port means that nobody listens; there is nobody to tell.
        let _ = Xen::HERE.evtchn_send(EvtchnSend { port: self.port.0 });
    }
}
