// SPDX-License-Identifier: MIT OR Apache-2.0
//! A waker that makes calls when it is cloned, woken or dropped, and a way to make a test fail
//! instead of hanging.
#![expect(unsafe_code, reason = "a waker that calls in when it's cloned or dropped needs a vtable")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};
use std::thread;
use std::time::Duration;

/// What was done to a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Cloned,
    Woken,
    Dropped,
}

/// The state that all clones of a hostile waker share.
pub struct Hostile {
    call: Box<dyn Fn(Done)>,
    /// Whether `call` is running, so that it isn't entered again.
    inside: Cell<bool>,
    pub woken: Cell<u32>,
    /// The number of live clones.
    pub clones: Cell<usize>,
    pub seen: RefCell<Vec<Done>>,
}

impl Hostile {
    pub fn new(call: impl Fn(Done) + 'static) -> Rc<Self> {
        let (inside, woken, clones) = (Cell::new(false), Cell::new(0), Cell::new(0));
        Rc::new(Self { call: Box::new(call), inside, woken, clones, seen: RefCell::default() })
    }

    /// Returns a waker that must stay on this thread.
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

/// Returns one more reference to the state behind a waker.
fn borrow(data: *const ()) -> Rc<Hostile> {
    // SAFETY: every waker's data is from `Rc::into_raw`, and the waker lives.
    unsafe { Rc::increment_strong_count(data.cast::<Hostile>()) };
    // SAFETY: this takes over the reference counted just above.
    unsafe { Rc::from_raw(data.cast()) }
}

fn release(data: *const ()) {
    // SAFETY: this takes over the waker's own reference, which ends with it.
    let hostile: Rc<Hostile> = unsafe { Rc::from_raw(data.cast()) };
    hostile.clones.set(hostile.clones.get() - 1);
    hostile.called(Done::Dropped);
}

/// Runs a test and fails it if it hangs: code that waits for a lock it already holds spins forever.
pub fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match wait.recv_timeout(Duration::from_secs(20)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        // It has ended or panicked.
        _ => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

pub fn poll(future: Pin<&mut impl Future>, waker: &Waker) -> bool {
    future.poll(&mut Context::from_waker(waker)).is_ready()
}
