// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console: a ring served by a daemon in dom0, or Xen's own console for a guest booted as dom0.
//!
//! Nothing is lost when the ring is full: what doesn't fit goes to a backlog. Tasks wait for room
//! there in order of arrival ([`Console::print`]). Code that can't await, such as for a log line or
//! a crash dump, lets other domains run until there is room, for a bounded time
//! ([`Console::print_now`]). [`crate::Services::upkeep`] empties the backlog even if nobody prints
//! or reads.
//!
//! The ring's indices are free-running, and the daemon writes its own: each is read once, and an
//! impossible pair counts as a full or an empty ring.

mod place;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::future::poll_fn;
use core::sync::atomic::Ordering;
use core::task::{Context, Poll};

use crate::lock::Mutex;
use xen_sys::io::console::XenconsInterface;
use xen_sys::xen::Virq;

use self::place::Place;
use crate::Error;
use crate::boot::{ConsoleDevice, SharedPage};
use crate::events::{Events, Port};
use crate::memory::{Memory, Platform};
use crate::turn::Turn;
use crate::waiters::WaitList;
use crate::words::{Word, consume, produce};

/// The size of the backlog, our memory for bytes that wait for room in the ring.
const BACKLOG: usize = 16 * 1024;
/// Bytes after which a printing or reading task lets others run: a ring's worth.
const AT_ONCE: usize = 2048;
/// How long [`Console::print_now`] waits for a daemon that takes nothing: 2 s.
const PATIENCE_NS: u64 = 2_000_000_000;
/// The sizes in bytes of the ring to the guest and of the ring from it.
const INPUT: usize = 1024;
const OUTPUT: usize = 2048;

type RingPage<X> = SharedPage<X, XenconsInterface>;

/// This guest's console. Clones refer to the same console.
#[derive(Debug)]
pub struct Console<X: Platform>(Arc<ConsoleState<X>>);

#[derive(Debug)]
struct ConsoleState<X: Platform> {
    xen: X,
    device: ConsoleDevice<X>,
    /// Signals input or room; `None` if Xen has no such event for us.
    port: Option<Port<X>>,
    out: Mutex<Out>,
    /// The turn of printing and reading tasks, in bytes.
    turn: Turn,
    /// Tasks that wait to become first in [`Out::queue`].
    on_first: WaitList,
}

#[derive(Debug)]
struct Out {
    backlog: VecDeque<u8>,
    /// The numbers of the tasks that wait for room, first come first. See [`Place`].
    queue: Vec<u64>,
    last_number: u64,
    /// Whether the last byte ended a line.
    at_line_start: bool,
    /// Bytes dropped because the daemon took none for [`PATIENCE_NS`].
    lost: u64,
}

impl Out {
    /// Whether there is room for one more byte; a newline takes two.
    fn has_room(&self) -> bool {
        self.backlog.len() + 2 <= BACKLOG
    }
}

impl<X: Platform> Console<X> {
    /// Brings up this domain's console.
    ///
    /// # Errors
    /// ENOMEM; EINVAL if the ring has no valid port.
    pub(crate) fn bring_up(
        xen: &X,
        device: ConsoleDevice<X>,
        events: &Events<X>,
    ) -> Result<Self, Error> {
        let port = match device {
            ConsoleDevice::Ring(_, port) => Some(events.adopt(port)?),
            // Without the VIRQ, output still works but input doesn't.
            ConsoleDevice::Hypervisor => events.bind_virq(Virq::CONSOLE).ok(),
        };
        let mut backlog = VecDeque::new();
        backlog.try_reserve_exact(BACKLOG).map_err(|_| Error::NO_MEMORY)?;
        let out = Mutex::new(Out {
            backlog,
            queue: Vec::new(),
            last_number: 0,
            at_line_start: true,
            lost: 0,
        });
        let turn = Turn::new(AT_ONCE);
        let on_first = WaitList::new();
        Ok(Self(Arc::new(ConsoleState { xen: xen.clone(), device, port, out, turn, on_first })))
    }
}

impl<X: Platform> Console<X> {
    /// Writes all of `bytes`, waiting for room as often as needed. Up to 8 KiB are written in one
    /// piece, so that no log line gets in between.
    pub async fn print(&self, mut bytes: &[u8]) {
        let whole = 2 * bytes.len() <= BACKLOG;
        let mut place = Place::new(&self.0);
        loop {
            self.0.turn.give_way().await;
            let mark = self.mark();
            let first = place.is_first();
            if first && (!whole || self.has_room_for(bytes.len())) {
                let taken = self.push(bytes);
                self.0.turn.count(taken);
                bytes = bytes.get(taken..).unwrap_or_default();
            }
            if bytes.is_empty() {
                return;
            }
            if !place.take() {
                poll_fn(|cx| place.poll_news(mark, first, cx)).await;
            }
        }
    }

    /// Writes all of `bytes` without awaiting. If the daemon takes none for 2 s, drops the rest and
    /// counts it.
    pub fn print_now(&self, bytes: &[u8]) {
        self.parts_now(&[bytes]);
    }

    /// Writes `text` without awaiting, on a new line and followed by a newline. If the daemon takes
    /// nothing for 2 s, drops the whole rest.
    pub fn line_now(&self, text: &str) {
        let before = if self.0.out.lock().at_line_start { "" } else { "\n" };
        self.parts_now(&[before.as_bytes(), text.as_bytes(), b"\n"]);
    }

    /// Does [`Console::print_now`] for several parts, with one deadline for all.
    fn parts_now(&self, parts: &[&[u8]]) {
        let xen = &self.0.xen;
        let mut deadline = xen.now() + PATIENCE_NS;
        for mut bytes in parts.iter().copied() {
            while !bytes.is_empty() {
                let taken = self.push(bytes);
                bytes = bytes.get(taken..).unwrap_or_default();
                if taken > 0 {
                    deadline = xen.now() + PATIENCE_NS;
                } else if xen.now() >= deadline {
                    self.0.out.lock().lost += bytes.len() as u64;
                    break;
                }
                if !bytes.is_empty() {
                    xen.yield_cpu();
                }
            }
        }
    }

    /// Whether a write is under way. To a trap or panic handler, that means that the writer itself
    /// failed, so it must not wait for it.
    pub fn is_busy(&self) -> bool {
        self.0.out.is_locked()
    }

    /// Whether the last byte written ended a line.
    pub fn at_line_start(&self) -> bool {
        self.0.out.lock().at_line_start
    }

    /// Returns the number of bytes dropped so far.
    pub fn lost(&self) -> u64 {
        self.0.out.lock().lost
    }

    /// Moves the backlog to the device whenever its daemon makes room. Never completes.
    pub(crate) async fn flush_forever(&self) {
        loop {
            let mark = self.mark();
            self.flush(&mut self.0.out.lock());
            self.news(mark).await;
        }
    }

    /// Waits until the daemon has taken everything written, at most until `deadline` in nanoseconds
    /// of Xen's system time. Returns whether it has. Use it before the guest ends, when what is
    /// still in the ring would be lost.
    pub fn drain(&self, deadline: u64) -> bool {
        let xen = &self.0.xen;
        while !self.is_drained() {
            if xen.now() >= deadline {
                return false;
            }
            xen.yield_cpu();
        }
        true
    }

    fn is_drained(&self) -> bool {
        let out = &mut *self.0.out.lock();
        self.flush(out);
        let taken = match &self.0.device {
            ConsoleDevice::Ring(ring, _) => {
                ring.word(|ring| &ring.out_cons).load(Ordering::Acquire)
                    == ring.word(|ring| &ring.out_prod).load(Ordering::Relaxed)
            }
            ConsoleDevice::Hypervisor => true,
        };
        out.backlog.is_empty() && taken
    }

    /// Reads typed input, waiting for at least one byte.
    pub async fn input(&self, bytes: &mut [u8]) -> usize {
        loop {
            self.0.turn.give_way().await;
            let mark = self.mark();
            // The event may also mean room, so flush the backlog.
            self.flush(&mut self.0.out.lock());
            let len = self.take_input(bytes);
            self.0.turn.count(len);
            if len > 0 || bytes.is_empty() {
                return len;
            }
            self.news(mark).await;
        }
    }

    /// Whether [`Console::push`] would take `len` bytes even if all were newlines.
    fn has_room_for(&self, len: usize) -> bool {
        let out = &mut *self.0.out.lock();
        self.flush(out);
        2 * len <= BACKLOG - out.backlog.len()
    }

    /// Takes as many of `bytes` as there is room for. Returns how many.
    fn push(&self, bytes: &[u8]) -> usize {
        let out = &mut *self.0.out.lock();
        // A raw-mode terminal behind the ring needs CR and LF; Xen's own console adds the CR
        // itself.
        let ring = matches!(self.0.device, ConsoleDevice::Ring(..));
        let mut taken = 0;
        for &byte in bytes {
            if !out.has_room() {
                self.flush(out);
                if !out.has_room() {
                    break;
                }
            }
            if byte == b'\n' && ring {
                out.backlog.push_back(b'\r');
            }
            out.backlog.push_back(byte);
            out.at_line_start = byte == b'\n';
            taken += 1;
        }
        self.flush(out);
        taken
    }

    /// Moves as much as possible from the backlog to the device.
    fn flush(&self, out: &mut Out) {
        if out.backlog.is_empty() {
            return;
        }
        match &self.0.device {
            ConsoleDevice::Ring(ring, _) => {
                if fill(ring, &mut out.backlog)
                    && let Some(port) = &self.0.port
                {
                    // If the daemon can't be notified, it takes the bytes when it looks next.
                    let _ = port.send();
                }
            }
            ConsoleDevice::Hypervisor => {
                let (first, second) = out.backlog.as_slices();
                // Xen refuses only if this device isn't ours to use, and there is no other to write
                // to.
                let _ = self.0.xen.console_io_write(first);
                if !second.is_empty() {
                    let _ = self.0.xen.console_io_write(second);
                }
                out.backlog.clear();
            }
        }
    }

    fn take_input(&self, bytes: &mut [u8]) -> usize {
        match &self.0.device {
            ConsoleDevice::Ring(ring, _) => {
                let len = empty(ring, bytes);
                if len > 0
                    && let Some(port) = &self.0.port
                {
                    let _ = port.send();
                }
                len
            }
            ConsoleDevice::Hypervisor => self.0.xen.console_io_read(bytes).unwrap_or(0),
        }
    }

    fn mark(&self) -> u64 {
        self.0.port.as_ref().map_or(0, Port::delivered)
    }

    /// Waits for the first event after `mark`; forever if the console has no port.
    fn news(&self, mark: u64) -> impl Future<Output = ()> {
        poll_fn(move |cx| self.0.poll_news(mark, cx))
    }
}

impl<X: Platform> ConsoleState<X> {
    fn poll_news(&self, mark: u64, cx: &Context<'_>) -> Poll<()> {
        match &self.port {
            Some(port) => port.poll_beyond(mark, cx.waker()),
            None => Poll::Pending,
        }
    }
}

impl<X: Platform> Clone for Console<X> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<X: Platform> embedded_io_async::ErrorType for Console<X> {
    type Error = Infallible;
}

impl<X: Platform> embedded_io_async::Read for Console<X> {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        Ok(self.input(bytes).await)
    }
}

impl<X: Platform> embedded_io_async::Write for Console<X> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.print(bytes).await;
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        loop {
            let mark = self.mark();
            if self.is_drained() {
                return Ok(());
            }
            self.news(mark).await;
        }
    }
}

/// Moves bytes from the backlog to the ring. Returns whether it moved any.
fn fill<X: Memory>(page: &RingPage<X>, backlog: &mut VecDeque<u8>) -> bool {
    let index = page.word(|ring| &ring.out_prod);
    // The daemon's index, read once. It can't be more than the ring's size behind ours; if it is,
    // there is no room, so none of our bytes are overwritten.
    let cons = page.word(|ring| &ring.out_cons).load(Ordering::Acquire);
    let prod = index.load(Ordering::Relaxed);
    let room = (OUTPUT as u32).saturating_sub(prod.wrapping_sub(cons));
    let moved = backlog.len().min(room as usize);
    let place = |at| page.word(|ring| &ring.output[at as usize % OUTPUT]);
    produce(backlog.drain(..moved), prod, place, &index);
    moved > 0
}

/// Moves bytes from the ring to `bytes`. Returns how many.
fn empty<X: Memory>(page: &RingPage<X>, bytes: &mut [u8]) -> usize {
    let index = page.word(|ring| &ring.in_cons);
    // The daemon's index, read once. If it claims more than the ring's size, there is no input.
    let prod = page.word(|ring| &ring.in_prod).load(Ordering::Acquire);
    let cons = index.load(Ordering::Relaxed);
    let ready = prod.wrapping_sub(cons) as usize;
    let ready = if ready > INPUT { 0 } else { ready };
    let len = bytes.len().min(ready);
    let mut rest = bytes.iter_mut();
    let place = |at| page.word(|ring| &ring.input[at as usize % INPUT]);
    consume(len, cons, place, &index, |byte| {
        if let Some(next) = rest.next() {
            *next = byte;
        }
    });
    len
}
