// SPDX-License-Identifier: MIT OR Apache-2.0
//! Output that works from the first instruction to the last.
//!
//! A domU has a ring; in dom0's place there is Xen's own console. Early text is written directly.
//! Once the console service of `drivers` runs, text goes through its queue, which preserves the
//! order. Everything runs on one vCPU without interrupts, so each writer finds the ring consistent.
#![expect(unsafe_code, reason = "the ring's page is found by its address")]

mod ring;

use core::fmt;
use core::ptr;

use drivers::console::Console;
use drivers::{ConsoleDevice, SharedPage};
use spin::Once;
use xen_sys::io::console::XenconsInterface;

use super::clock;
use super::interface::{Ring, interface};
use crate::Xen;
use ring::EarlyRing;

/// The console of this domain.
pub fn device() -> ConsoleDevice<Xen> {
    let Some(Ring { page, port }) = interface().console() else {
        return ConsoleDevice::Hypervisor;
    };
    let page = ptr::with_exposed_provenance::<XenconsInterface>(page);
    // SAFETY: the builder's page; all its fields are atomic.
    let page = unsafe { &*page };
    // SAFETY: never unmapped.
    ConsoleDevice::Ring(unsafe { SharedPage::new(Xen::HERE, page) }, port)
}

/// Writes all of `bytes` immediately.
fn write(bytes: &[u8]) {
    match device() {
        ConsoleDevice::Hypervisor => interface().write_without_ring(bytes),
        ConsoleDevice::Ring(page, port) => EarlyRing { page: page.page(), port }.write(bytes),
    }
}

/// Waits until the console daemon has read everything, or has stopped reading.
pub fn drain() {
    match (service(), device()) {
        // Lost bytes are counted there; there is nobody left to tell.
        (Some(service), _) => drop(service.drain(clock::now() + 2 * ring::PATIENCE)),
        (None, ConsoleDevice::Ring(page, port)) => EarlyRing { page: page.page(), port }.drain(),
        (None, ConsoleDevice::Hypervisor) => {}
    }
}

/// A sink for `write!` that passes on text in pieces of up to 256 bytes, one hypercall each.
struct Pieces {
    bytes: [u8; 256],
    len: usize,
}

impl Pieces {
    fn flush(&mut self) {
        let text = self.bytes.get(..self.len).unwrap_or_default();
        match service() {
            Some(service) => service.print_now(text),
            None => write(text),
        }
        self.len = 0;
    }
}

impl fmt::Write for Pieces {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.len == self.bytes.len() {
                self.flush();
            }
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
        Ok(())
    }
}

/// The service that queues output, once it runs.
static SERVICE: Once<Console<Xen>> = Once::new();

/// From now on, sends all output through the service, dumps included, to preserve the order.
pub fn hand_over(service: Console<Xen>) {
    SERVICE.call_once(|| service);
}

/// The service, if it runs and wasn't itself interrupted: a fault inside it would wait for its own
/// lock.
fn service() -> Option<&'static Console<Xen>> {
    SERVICE.get().filter(|service| !service.is_busy())
}

/// Ends the current line, if one has been started.
pub fn fresh_line() {
    if service().is_some_and(|service| !service.at_line_start()) {
        print(format_args!("\n"));
    }
}

/// Prints formatted text. Used by [`crate::print!`].
pub fn print(text: fmt::Arguments) {
    let mut pieces = Pieces { bytes: [0; 256], len: 0 };
    // `Pieces` never fails. An argument's `Display` may; then the rest isn't printed.
    let _ = fmt::write(&mut pieces, text);
    pieces.flush();
}
