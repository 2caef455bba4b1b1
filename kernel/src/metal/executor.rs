// SPDX-License-Identifier: MIT OR Apache-2.0
//! The executor and the idle loop: tasks run to completion, and events are handled in between.
//!
//! embassy-executor's raw executor with our own pender. Its tasks can't be generic, so each spawned
//! future is boxed, and one task type with a pool runs them all.
#![expect(unsafe_code, reason = "polling the raw executor, and its pender's symbol")]

use core::sync::atomic::{AtomicBool, Ordering};
use core::{mem, ptr};

use drivers::events::Events;
use drivers::{Errno, Hypervisor};
use embassy_executor::raw::Executor;
use xen_sys::xen::Virq;

use super::boot::must;
use super::interface::interface;
use super::memory::frames;
use super::timers;
use crate::Xen;
use crate::future::BoxedFuture;

/// Futures that can run at once.
const TASKS: usize = 32;

/// The running executor's tasks.
#[derive(Clone, Copy)]
pub struct Tasks(embassy_executor::Spawner);

impl Tasks {
    /// Starts `future`.
    ///
    /// # Errors
    /// EAGAIN while 32 futures run.
    pub fn spawn(self, future: BoxedFuture) -> Result<(), Errno> {
        let token = run_boxed(future).map_err(|_| Errno::EAGAIN)?;
        self.0.spawn(token);
        Ok(())
    }
}

#[embassy_executor::task(pool_size = TASKS)]
async fn run_boxed(future: BoxedFuture) {
    future.await
}

/// Set when a task became ready.
static READY: AtomicBool = AtomicBool::new(false);

#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    READY.store(true, Ordering::Relaxed);
}

/// Lets `first` start the first tasks, then runs for ever.
pub fn run(events: &Events<Xen>, first: impl FnOnce(Tasks) -> Result<(), Errno>) -> ! {
    let executor = Executor::new(ptr::null_mut());
    let executor = &raw const executor;
    // SAFETY: it lives for ever: this function never returns, and a panic doesn't unwind.
    let executor: &'static Executor = unsafe { &*executor };
    // Bound before the application can use up all ports. Kept for ever: the port must stay open,
    // and its event need not wake anybody.
    let timer = must("timer", events.bind_virq(Virq::TIMER));
    let mut rings = timer.delivered();
    must("first task", first(Tasks(executor.spawner())));
    loop {
        // The order explained in ARCHITECTURE.md, "The bare metal": a pending bit is cleared before
        // its task is woken, and all are checked again after each sleep.
        let news = events.dispatch();
        let before = mem::replace(&mut rings, timer.delivered());
        timers::expire(rings != before);
        READY.store(false, Ordering::Relaxed);
        // SAFETY: called only here, so never reentrantly.
        unsafe { executor.poll() };
        if news > 0 || READY.load(Ordering::Relaxed) {
            continue;
        }
        frames::refill_when_idle();
        if timers::may_sleep() {
            // Returns at once if an event has come since `dispatch`.
            interface().sleep();
        } else {
            Xen::HERE.yield_cpu();
        }
    }
}
