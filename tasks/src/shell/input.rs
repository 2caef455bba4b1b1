//! Typed input: read from the console at once, kept until the shell asks for it.
//!
//! Reading the console never waits for a command, so a Ctrl-C is seen while one runs. Beyond
//! [`KEPT`] bytes, input stays in the console's ring and with whoever sends it. Nothing is lost,
//! and a Ctrl-C there is seen once there is room.

use alloc::collections::VecDeque;
use core::cell::RefCell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;

use drivers::console::Console;
use drivers::memory::Platform;
use embassy_sync::waitqueue::WakerRegistration;

/// The most bytes that are kept.
pub(crate) const KEPT: usize = 16 * 1024;
/// What Ctrl-C sends.
pub(crate) const CTRL_C: u8 = 3;

/// Typed bytes in order.
#[derive(Debug)]
pub(crate) struct Input(RefCell<Kept>);

#[derive(Debug)]
struct Kept {
    bytes: VecDeque<u8>,
    /// The shell, which waits for bytes.
    reader: WakerRegistration,
    /// The pump, which waits for room.
    pump: WakerRegistration,
}

impl Input {
    /// With all its memory; `None` if there isn't as much.
    pub(crate) fn new() -> Option<Self> {
        let mut bytes = VecDeque::new();
        bytes.try_reserve_exact(KEPT).ok()?;
        let (reader, pump) = (WakerRegistration::new(), WakerRegistration::new());
        Some(Self(RefCell::new(Kept { bytes, reader, pump })))
    }

    /// Reads what is typed, for ever.
    pub(crate) async fn pump<X: Platform>(&self, console: &Console<X>) -> Infallible {
        let mut bytes = [0; 128];
        loop {
            let room = self.room().await.min(bytes.len());
            let len = console.input(&mut bytes[..room]).await;
            let queue = &mut *self.0.borrow_mut();
            queue.bytes.extend(&bytes[..len]);
            queue.reader.wake();
        }
    }

    /// Waits until there is room; how much.
    async fn room(&self) -> usize {
        poll_fn(|cx| {
            let queue = &mut *self.0.borrow_mut();
            let room = KEPT - queue.bytes.len();
            if room > 0 {
                return Poll::Ready(room);
            }
            queue.pump.register(cx.waker());
            Poll::Pending
        })
        .await
    }

    /// The next byte, if one was typed.
    pub(crate) fn take(&self) -> Option<u8> {
        let queue = &mut *self.0.borrow_mut();
        queue.pump.wake();
        queue.bytes.pop_front()
    }

    /// Waits until there is a byte.
    pub(crate) async fn typed(&self) {
        poll_fn(|cx| {
            let queue = &mut *self.0.borrow_mut();
            if queue.bytes.is_empty() {
                queue.reader.register(cx.waker());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Waits for a Ctrl-C anywhere in the kept input. It is removed, together with the unfinished
    /// line before it; finished lines stay.
    pub(crate) async fn interrupted(&self) {
        poll_fn(|cx| {
            let queue = &mut *self.0.borrow_mut();
            let Some(at) = queue.bytes.iter().position(|byte| *byte == CTRL_C) else {
                queue.reader.register(cx.waker());
                return Poll::Pending;
            };
            let before = queue.bytes.range(..at);
            let line_end = before.rev().position(|byte| matches!(byte, b'\r' | b'\n'));
            queue.bytes.drain(at - line_end.unwrap_or(at)..=at);
            queue.pump.wake();
            Poll::Ready(())
        })
        .await;
    }
}
