// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console on FakeXen: a daemon that empties the ring, and keyboard input.

use core::sync::atomic::Ordering;
use std::string::String;
use std::vec::Vec;

use xen_sys::xen::Virq;

use super::FakeXen;
use super::domain::{CONSOLE_PORT, ConsoleKind, Domain};
use super::events::Channel;
use drivers::Errno;

impl FakeXen {
    /// Returns what the guest has printed so far, as far as the daemon has read it.
    pub fn console_output(&self) -> String {
        String::from_utf8_lossy(&self.of(&mut self.world.lock()).printed).into_owned()
    }

    /// Types at the guest's console. The bytes needn't be text.
    pub fn console_type(&self, text: &(impl AsRef<[u8]> + ?Sized)) {
        let state = &mut *self.world.lock();
        let domain = self.of(state);
        domain.typed.extend(text.as_ref());
        domain.console_daemon();
        domain.ring_keyboard();
    }

    /// Stops the console daemon or lets it continue, to fill the ring.
    pub fn console_daemon(&self, running: bool) {
        let state = &mut *self.world.lock();
        let domain = self.of(state);
        domain.daemon = running;
        domain.console_daemon();
    }
}

impl Domain {
    /// Sets up the ports as the toolstack does: 0 is Xen's, 1 xenstore's, 2 the console's.
    pub(super) fn start_console(&mut self) {
        self.channels.push(Channel::Reserved);
        self.channels.extend(match self.config.console {
            ConsoleKind::Ring => [Channel::XenStore, Channel::Console],
            ConsoleKind::Hypervisor => [Channel::Reserved, Channel::Closed],
        });
    }

    /// Lets the daemon empty the output ring and fill the input ring, if it runs.
    pub(super) fn console_daemon(&mut self) {
        if !self.daemon || self.config.console != ConsoleKind::Ring {
            return;
        }
        let pages = self.pages.clone();
        let ring = &pages.console;
        let (prod, mut cons) =
            (ring.out_prod.load(Ordering::SeqCst), ring.out_cons.load(Ordering::SeqCst));
        assert!(prod.wrapping_sub(cons) <= ring.output.len() as u32, "console ring overrun");
        let mut moved = false;
        while cons != prod {
            let at = cons as usize % ring.output.len();
            self.printed.push(ring.output[at].load(Ordering::SeqCst));
            cons = cons.wrapping_add(1);
            moved = true;
        }
        ring.out_cons.store(cons, Ordering::SeqCst);
        let mut prod = ring.in_prod.load(Ordering::SeqCst);
        while prod.wrapping_sub(ring.in_cons.load(Ordering::SeqCst)) < ring.input.len() as u32 {
            let Some(byte) = self.typed.pop_front() else {
                break;
            };
            ring.input[prod as usize % ring.input.len()].store(byte, Ordering::SeqCst);
            prod = prod.wrapping_add(1);
            moved = true;
        }
        ring.in_prod.store(prod, Ordering::SeqCst);
        if moved {
            self.set_pending(CONSOLE_PORT);
        }
    }

    /// Sends the VIRQ with which Xen's own console announces input.
    fn ring_keyboard(&mut self) {
        let keyboard = Channel::Virq(Virq::CONSOLE);
        if let Some(port) = self.channels.iter().position(|channel| *channel == keyboard) {
            self.set_pending(port as u32);
        }
    }

    pub(super) fn console_io_write(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if self.config.console != ConsoleKind::Hypervisor {
            return Err(Errno::EPERM);
        }
        self.printed.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn console_io_read(&mut self, bytes: &mut [u8]) -> Result<usize, Errno> {
        if self.config.console != ConsoleKind::Hypervisor {
            return Err(Errno::EPERM);
        }
        let len = bytes.len().min(self.typed.len());
        let typed: Vec<u8> = self.typed.drain(..len).collect();
        bytes[..len].copy_from_slice(&typed);
        Ok(len)
    }
}
