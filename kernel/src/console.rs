//! Output that works from the first instruction to the last: written at once, nothing lost.
//!
//! A domU has the ring of io/console.h, whose page the builder mapped; in dom0's place there is
//! Xen's own console. `drivers` reads input and may write the ring too: all of it runs on one
//! vCPU without interrupts, and each writer leaves the ring consistent. Once the service
//! of `drivers` runs, text goes through its queue.
//!
//! A full ring is waited for, but no longer than a second without progress: a console that
//! nobody reads must not hold the guest. From then on text is dropped until there is room.
#![expect(unsafe_code, reason = "the ring's page is found by its address")]

use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering, fence};

use drivers::PortNumber;
use drivers::console::Console;
use spin::Once;
use xen_sys::event_channel::EvtchnSend;
use xen_sys::io::console::XenconsInterface;
use xen_sys::xen::Sif;

use crate::memory::{Mfn, layout, translate};
use crate::{Xen, clock, hypercall};

/// How long to wait for a reader that makes no progress, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;

/// Set while nobody takes what is in the ring.
static STALLED: AtomicBool = AtomicBool::new(false);

/// Where the console is.
#[derive(Clone, Copy, Debug)]
pub enum Device {
    /// The ring, and the port that tells the console daemon of news.
    Ring(&'static XenconsInterface, PortNumber),
    /// Xen's own console.
    Hypervisor,
}

/// The console of this domain.
pub fn device() -> Device {
    let start_info = layout::start_info();
    if start_info.flags.contains(Sif::INITDOMAIN) {
        return Device::Hypervisor;
    }
    match translate::builders_page(Mfn(start_info.console_mfn)) {
        Some(page) => {
            let ring = ptr::with_exposed_provenance::<XenconsInterface>(page);
            // SAFETY: the builder's page, mapped for good; all its fields are atomic.
            Device::Ring(unsafe { &*ring }, PortNumber(start_info.console_evtchn))
        }
        // No ring where the builder puts it: a debug Xen prints for any domain.
        None => Device::Hypervisor,
    }
}

/// Writes all of `bytes`, a newline as carriage return and newline where a terminal reads it raw.
pub fn write(bytes: &[u8]) {
    match device() {
        Device::Hypervisor => drop(hypercall::console_io_write(bytes)),
        Device::Ring(ring, port) => {
            for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                match line.strip_suffix(b"\n") {
                    Some(text) => {
                        put(ring, port, text);
                        put(ring, port, b"\r\n");
                    }
                    None => put(ring, port, line),
                }
            }
            notify(port);
        }
    }
}

/// Waits until the console daemon has taken everything, or stopped taking.
pub fn drain() {
    if let Some(service) = SERVICE.get() {
        // What it gives up is counted there; there is nobody left to tell.
        let _ = service.drain(clock::now() + 2 * PATIENCE);
        return;
    }
    if let Device::Ring(ring, port) = device() {
        notify(port);
        wait_for_room(ring, ring.output.len());
    }
}

/// Appends to the ring.
fn put(ring: &XenconsInterface, port: PortNumber, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let mut room = room(ring);
        if room == 0 {
            notify(port);
            room = wait_for_room(ring, 1);
        }
        if room == 0 {
            return;
        }
        let (now, later) = bytes.split_at(bytes.len().min(room));
        let produced = ring.out_prod.load(Ordering::Relaxed);
        for (offset, &byte) in now.iter().enumerate() {
            let at = produced.wrapping_add(offset as u32) as usize % ring.output.len();
            ring.output[at].store(byte, Ordering::Relaxed);
        }
        // The daemon may read the bytes as soon as it sees the index, so the index goes last.
        ring.out_prod
            .store(produced.wrapping_add(now.len() as u32), Ordering::Release);
        bytes = later;
    }
}

/// Free bytes in the ring. What the daemon claims to have taken is not believed beyond the size.
fn room(ring: &XenconsInterface) -> usize {
    let produced = ring.out_prod.load(Ordering::Relaxed);
    let used = produced.wrapping_sub(ring.out_cons.load(Ordering::Acquire)) as usize;
    ring.output.len().saturating_sub(used)
}

/// Waits for `wanted` free bytes, as long as the daemon makes progress; what there is then.
fn wait_for_room(ring: &XenconsInterface, wanted: usize) -> usize {
    let mut last = room(ring);
    let mut since = clock::now();
    while last < wanted {
        if STALLED.load(Ordering::Relaxed) || clock::now() - since > PATIENCE {
            STALLED.store(true, Ordering::Relaxed);
            return last;
        }
        hypercall::sched_yield();
        let now = room(ring);
        if now != last {
            last = now;
            since = clock::now();
        }
    }
    STALLED.store(false, Ordering::Relaxed);
    last
}

fn notify(port: PortNumber) {
    // The index must be visible before the daemon is told to look.
    fence(Ordering::SeqCst);
    // A port that was closed means that nobody listens; there is nobody to tell.
    let _ = hypercall::evtchn_send(&mut EvtchnSend { port: port.0 });
}

/// A sink for `write!` that passes text on in pieces of up to 256 bytes: each piece is a hypercall.
struct Pieces {
    bytes: [u8; 256],
    len: usize,
}

impl Pieces {
    fn flush(&mut self) {
        let text = &self.bytes[..self.len];
        if !pass_on(text) {
            write(text);
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
            self.bytes[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}

/// The service that queues output, once it runs.
static SERVICE: Once<Console<Xen>> = Once::new();

/// Passes what is printed from now on to the service, dumps included: it keeps the order.
pub fn hand_over(service: Console<Xen>) {
    SERVICE.call_once(|| service);
}

/// Passes text to the service; whether it could. It could not if the service itself is what was
/// interrupted: its lock would never be released.
fn pass_on(text: &[u8]) -> bool {
    static INSIDE: AtomicBool = AtomicBool::new(false);
    let Some(service) = SERVICE.get() else {
        return false;
    };
    if INSIDE.swap(true, Ordering::Relaxed) {
        return false;
    }
    service.print_now(text);
    INSIDE.store(false, Ordering::Relaxed);
    true
}

/// Ends the line that is being written, if there is one.
pub fn fresh_line() {
    if SERVICE
        .get()
        .is_some_and(|service| !service.at_line_start())
    {
        print(format_args!("\n"));
    }
}

/// Prints formatted text. Used by [`crate::print!`].
pub fn print(text: fmt::Arguments) {
    let mut pieces = Pieces {
        bytes: [0; 256],
        len: 0,
    };
    // `Pieces` never fails; an argument's own `Display` may, and then the rest is not printed.
    let _ = fmt::write(&mut pieces, text);
    pieces.flush();
}
