// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs guests side by side, in virtual time.
//!
//! A guest is polled only after it was woken, as in a real guest. If a wake-up gets lost, everybody
//! waits, and the test panics.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Wake;
use std::vec::Vec;

use super::World;
use drivers::events::Events;

/// Virtual time that a yield takes.
pub(super) const YIELD_NS: u64 = 10_000;
/// The longest run, in virtual time, before it counts as stuck: a day.
const TOO_LONG_NS: u64 = 86_400 * 1_000_000_000;

/// The sleepers' wakers, by deadline.
pub(super) type Timers = BTreeMap<u64, Vec<Waker>>;

/// Completes at `deadline`.
#[derive(Debug)]
pub(super) struct Sleep {
    world: World,
    deadline: u64,
}

impl Sleep {
    pub(super) fn new(world: World, deadline: u64) -> Self {
        Self { world, deadline }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Cloning or dropping a waker may run code that takes the lock, so do both without it.
        let waker = cx.waker().clone();
        let state = &mut *self.world.lock();
        if state.now >= self.deadline {
            return Poll::Ready(());
        }
        state.timers.entry(self.deadline).or_default().push(waker);
        Poll::Pending
    }
}

/// What one guest does in [`World::run`], as a future.
pub struct Task<'a> {
    dispatch: Box<dyn Fn() -> usize + 'a>,
    future: Pin<Box<dyn Future<Output = ()> + 'a>>,
    woken: Arc<Flag>,
    done: bool,
}

impl<'a> Task<'a> {
    /// Makes a task of `future`, which runs in the guest that has these event channels.
    pub fn new(events: &'a Events<super::FakeXen>, future: impl Future<Output = ()> + 'a) -> Self {
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        let dispatch = Box::new(|| events.dispatch());
        Self { dispatch, future: Box::pin(future), woken, done: false }
    }

    /// Dispatches events, and polls the future if it was woken. Returns whether anything happened.
    /// For a test that schedules its guests itself; all others use [`World::run`].
    pub fn step(&mut self) -> bool {
        let events = (self.dispatch)();
        if self.done || !self.woken.0.swap(false, Ordering::SeqCst) {
            return events > 0;
        }
        let waker = Waker::from(self.woken.clone());
        self.done = self.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        true
    }
}

impl Task<'_> {
    /// Whether its future has completed.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

impl fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("done", &self.done).finish_non_exhaustive()
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl World {
    /// Runs the tasks in turn until all are done. Time passes only while nobody can run.
    ///
    /// # Panics
    /// If every task waits and no deadline is left, or if a day of virtual time passes.
    pub fn run<'a>(&self, tasks: impl IntoIterator<Item = Task<'a>>) {
        let mut tasks: Vec<_> = tasks.into_iter().collect();
        while !tasks.iter().all(|task| task.done) {
            let mut busy = false;
            for task in &mut tasks {
                busy |= task.step();
            }
            busy |= self.lock().xenstored();
            if !busy {
                self.pass_time();
            }
        }
    }

    /// Advances time to the next deadline.
    fn pass_time(&self) {
        let due = {
            let state = &mut *self.lock();
            let (time, wakers) =
                state.timers.pop_first().expect("every task waits, and no deadline is set");
            state.now = state.now.max(time);
            assert!(state.now < TOO_LONG_NS, "the tasks have run for a day");
            wakers
        };
        due.into_iter().for_each(Waker::wake);
    }
}
