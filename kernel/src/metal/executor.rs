// SPDX-License-Identifier: MIT OR Apache-2.0
//! The executor and the idle loop: tasks run to completion, and events are handled in between.
//!
//! embassy-executor's raw executor with our own pender. Its tasks can't be generic, so each spawned
//! future is boxed. A place for one is allocated when all others are taken, and kept for the next.
#![expect(unsafe_code, reason = "polling the raw executor, and its pender's symbol")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};
use core::{mem, ptr};

use drivers::boxed::boxed;
use drivers::events::Events;
use drivers::{Errno, Hypervisor, list};
use embassy_executor::raw::{AvailableTask, Executor, TaskStorage};
use xen_sys::xen::Virq;

use super::boot::must;
use super::interface::interface;
use super::memory::frames;
use super::timers;
use crate::Xen;
use crate::future::BoxedFuture;

/// Futures that can run at once.
const TASKS: usize = 32;

/// Places for futures.
type Places = RefCell<Vec<&'static TaskStorage<BoxedFuture>>>;

/// The running executor's tasks.
#[derive(Clone, Copy)]
pub struct Tasks(embassy_executor::Spawner, &'static Places);

impl Tasks {
    /// Starts `future`.
    ///
    /// # Errors
    /// EAGAIN while 32 futures run; ENOMEM.
    pub fn spawn(self, future: BoxedFuture) -> Result<(), Errno> {
        let mut places = self.1.try_borrow_mut().map_err(|_| Errno::EAGAIN)?;
        let free = places.iter().find_map(|place| AvailableTask::claim(place));
        let free = match free {
            Some(free) => Some(free),
            None if places.len() < TASKS => {
                places.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                let place = Box::leak(boxed(TaskStorage::new()).ok_or(Errno::ENOMEM)?);
                list::push(&mut places, &*place).map_err(|error| error.errno())?;
                AvailableTask::claim(place)
            }
            None => None,
        };
        let free = free.ok_or(Errno::EAGAIN)?;
        self.0.spawn(free.initialize(|| future));
        Ok(())
    }
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
    let places = must("tasks", boxed(Places::default()).ok_or(Errno::ENOMEM));
    must("first task", first(Tasks(executor.spawner(), Box::leak(places))));
    loop {
        // The order explained in ARCHITECTURE.md, "The bare metal": a pending bit is cleared before
        // its task is woken, and all are checked again after each sleep.
        events.dispatch();
        let before = mem::replace(&mut rings, timer.delivered());
        timers::expire(rings != before);
        READY.store(false, Ordering::Relaxed);
        // SAFETY: called only here, so never reentrantly.
        unsafe { executor.poll() };
        if READY.load(Ordering::Relaxed) || events.is_any_pending() {
            continue;
        }
        frames::refill_when_idle();
        if timers::may_sleep() {
            // Returns at once if an event has come since the check.
            interface().sleep();
        } else {
            Xen::HERE.yield_cpu();
        }
    }
}
