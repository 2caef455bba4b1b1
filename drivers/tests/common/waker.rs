// SPDX-License-Identifier: MIT OR Apache-2.0
//! A waker that calls in whenever it's cloned, woken or dropped, and tests that fail where it would
//! hang.
#![expect(unsafe_code, reason = "a waker that calls in when it's cloned or dropped needs a vtable")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};
use std::thread;
use std::time::Duration;

/// What is done with a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Cloned,
    Woken,
    Dropped,
}

/// What all clones of a hostile waker have in common.
pub struct Hostile {
    call: Box<dyn Fn(Done)>,
    /// It calls in, and is not called from there again.
    inside: Cell<bool>,
    pub woken: Cell<u32>,
    /// Clones that live.
    pub clones: Cell<usize>,
    pub seen: RefCell<Vec<Done>>,
}

impl Hostile {
    pub fn new(call: impl Fn(Done) + 'static) -> Rc<Self> {
        let (inside, woken, clones) = (Cell::new(false), Cell::new(0), Cell::new(0));
        Rc::new(Self { call: Box::new(call), inside, woken, clones, seen: RefCell::default() })
    }

    /// A waker of one thread: whoever makes it takes care that it stays there.
    pub fn waker(self: &Rc<Self>) -> Waker {
        self.clones.set(self.clones.get() + 1);
        let data = Rc::into_raw(self.clone()).cast();
        // SAFETY: the vtable counts references as Rc does; the tests use it on one thread.
        unsafe { Waker::from_raw(RawWaker::new(data, &VTABLE)) }
    }

    fn called(&self, done: Done) {
        if done == Done::Woken {
            self.woken.set(self.woken.get() + 1);
        }
        self.seen.borrow_mut().push(done);
        if !self.inside.replace(true) {
            (self.call)(done);
            self.inside.set(false);
        }
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        let hostile = borrow(data);
        hostile.clones.set(hostile.clones.get() + 1);
        hostile.called(Done::Cloned);
        RawWaker::new(Rc::into_raw(hostile).cast(), &VTABLE)
    },
    |data| {
        borrow(data).called(Done::Woken);
        release(data);
    },
    |data| borrow(data).called(Done::Woken),
    release,
);

/// One reference more to what a waker points at.
fn borrow(data: *const ()) -> Rc<Hostile> {
    // SAFETY: every waker's data is from `Rc::into_raw`, and the waker lives.
    unsafe { Rc::increment_strong_count(data.cast::<Hostile>()) };
    // SAFETY: the reference that was just counted.
    unsafe { Rc::from_raw(data.cast()) }
}

fn release(data: *const ()) {
    // SAFETY: the waker's own reference, which ends with it.
    let hostile: Rc<Hostile> = unsafe { Rc::from_raw(data.cast()) };
    hostile.clones.set(hostile.clones.get() - 1);
    hostile.called(Done::Dropped);
}

/// Runs a test, which has failed if it hangs: whoever waits for his own lock spins for ever.
pub fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match wait.recv_timeout(Duration::from_secs(20)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        // Over, by its end or by a panic.
        _ => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

pub fn poll(future: Pin<&mut impl Future>, waker: &Waker) -> bool {
    future.poll(&mut Context::from_waker(waker)).is_ready()
}
