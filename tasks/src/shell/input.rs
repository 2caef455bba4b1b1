// SPDX-License-Identifier: MIT OR Apache-2.0
//! Typed input: read from the console immediately, kept until the shell asks for it.
//!
//! Reading the console never waits for a command, so Ctrl-C is seen while one runs. Beyond [`KEPT`]
//! bytes, input stays in the console ring and with the sender. Nothing is lost, and a Ctrl-C there
//! is seen once there is room.

use alloc::collections::VecDeque;
use core::cell::RefCell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;

use drivers::console::Console;
use drivers::memory::Platform;
use embassy_sync::waitqueue::WakerRegistration;

use super::keys::CTRL_C;

/// Maximum number of bytes kept.
pub(crate) const KEPT: usize = 16 * 1024;

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
    /// Creates it with all its memory; `None` if there isn't enough.
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
            let room = bytes.get_mut(..room).unwrap_or_default();
            let len = console.input(room).await;
            self.with(|kept| {
                kept.bytes.extend(room.iter().take(len));
                kept.reader.wake();
            });
        }
    }

    /// Accesses the kept bytes. No waker woken by `look` calls back here; it only requests a poll.
    fn with<R>(&self, look: impl FnOnce(&mut Kept) -> R) -> R {
        look(&mut self.0.borrow_mut())
    }

    /// Waits until there is room, and returns how much.
    fn room(&self) -> impl Future<Output = usize> {
        poll_fn(|cx| {
            self.with(|kept| {
                let room = KEPT - kept.bytes.len();
                if room > 0 {
                    return Poll::Ready(room);
                }
                kept.pump.register(cx.waker());
                Poll::Pending
            })
        })
    }

    /// Whether nothing typed is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.with(|kept| kept.bytes.is_empty())
    }

    /// The next byte, if one was typed.
    pub(crate) fn take(&self) -> Option<u8> {
        self.with(|kept| {
            kept.pump.wake();
            kept.bytes.pop_front()
        })
    }

    /// Waits until there is a byte.
    pub(crate) fn typed(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            self.with(|kept| {
                if !kept.bytes.is_empty() {
                    return Poll::Ready(());
                }
                kept.reader.register(cx.waker());
                Poll::Pending
            })
        })
    }

    /// Waits for a Ctrl-C anywhere in the kept input. It is removed, together with the unfinished
    /// line before it; finished lines stay.
    pub(crate) fn interrupted(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            self.with(|kept| {
                if kept.drop_interrupted() {
                    return Poll::Ready(());
                }
                kept.reader.register(cx.waker());
                Poll::Pending
            })
        })
    }
}

impl Kept {
    /// Removes a Ctrl-C and the unfinished line before it; returns whether there was one.
    fn drop_interrupted(&mut self) -> bool {
        // Where the line begins.
        let mut first = 0;
        for (at, byte) in self.bytes.iter().enumerate() {
            match *byte {
                b'\r' | b'\n' => first = at + 1,
                CTRL_C => {
                    let mut places = 0..self.bytes.len();
                    let stays = |place| place < first || place > at;
                    self.bytes.retain(|_| places.next().is_some_and(stays));
                    self.pump.wake();
                    return true;
                }
                _ => {}
            }
        }
        false
    }
}
