// SPDX-License-Identifier: MIT OR Apache-2.0
//! The executor: polls one future, and between polls sleeps in `poll(2)`.
//!
//! A future of this crate that has to wait says for which file or until when. So it works only
//! inside [`block_on`], on the thread that called it.

use std::cell::RefCell;
use std::fs::File;
use std::future::poll_fn;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

thread_local! {
    static WAITS: RefCell<Waits> = const { RefCell::new(Waits::NONE) };
}

/// What the futures polled since the last sleep wait for.
struct Waits {
    files: Vec<Arc<File>>,
    due: u64,
}

impl Waits {
    const NONE: Waits = Waits { files: Vec::new(), due: u64::MAX };
}

/// Whether a future asked to be polled again at once.
struct Again(AtomicBool);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future to its end on this thread.
///
/// It is polled again after events, changes in xenstore and deadlines of this crate, and if it
/// wakes itself while it is polled. A wake-up from another thread is not heard before the next of
/// these. Calls don't nest.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let again = Arc::new(Again(AtomicBool::new(false)));
    let waker = Waker::from(again.clone());
    loop {
        WAITS.replace(Waits::NONE);
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        let waits = WAITS.replace(Waits::NONE);
        if !again.0.swap(false, Ordering::Relaxed) {
            sleep(&waits);
        }
    }
}

/// Sleeps until a file is readable or the deadline has passed. It may also end early, by a signal.
fn sleep(waits: &Waits) {
    let timeout = match waits.due {
        u64::MAX => PollTimeout::NONE,
        // Rounded up, so that the deadline has passed then.
        due => {
            let ms = due.saturating_sub(now()).div_ceil(1_000_000);
            i32::try_from(ms).ok().and_then(|ms| ms.try_into().ok()).unwrap_or(PollTimeout::MAX)
        }
    };
    let mut files: Vec<_> =
        waits.files.iter().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)).collect();
    // An error is a signal: the futures look again.
    let _ = poll(&mut files, timeout);
}

/// Whether there is something to read, at the latest after `limit`.
pub(crate) fn is_readable_within(file: &File, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = left.as_millis().try_into().unwrap_or(PollTimeout::MAX);
        let mut files = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        match poll(&mut files, timeout) {
            Err(Errno::EINTR) => {}
            ready => return ready.is_ok_and(|ready| ready > 0),
        }
    }
}

/// Has the executor poll again when there is something to read.
pub(crate) fn wake_when_readable(file: &Arc<File>) {
    WAITS.with_borrow_mut(|waits| waits.files.push(file.clone()));
}

/// Completes when the clock reaches `due`.
pub(crate) fn until(due: u64) -> impl Future<Output = ()> {
    poll_fn(move |_| {
        if now() >= due {
            return Poll::Ready(());
        }
        WAITS.with_borrow_mut(|waits| waits.due = waits.due.min(due));
        Poll::Pending
    })
}

/// Waits until the answer is yes, asking now and then at this interval, in nanoseconds.
pub(crate) async fn asking(interval: u64, mut answer: impl FnMut() -> bool) {
    while !answer() {
        until(now().saturating_add(interval)).await;
    }
}

/// Nanoseconds since this process first asked.
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_wakes_itself_is_polled_again() {
        let (mut left, due) = (3, now() + 5_000_000_000);
        let mut late = pin!(until(due));
        block_on(poll_fn(|cx| {
            left -= 1;
            cx.waker().wake_by_ref();
            let _ = late.as_mut().poll(cx);
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert!(now() < due, "it slept");
    }

    #[test]
    fn what_is_not_so_yet_is_asked_again_until_it_is() {
        let (began, mut asked) = (now(), 0);
        block_on(asking(1_000_000, || {
            asked += 1;
            asked == 3
        }));
        assert_eq!(asked, 3);
        assert!(now() - began >= 2_000_000);
    }

    #[test]
    fn a_file_with_nothing_to_read_is_given_up_at_the_limit() {
        let (ours, theirs) = std::io::pipe().expect("a pipe");
        let ours = File::from(std::os::fd::OwnedFd::from(ours));
        let began = Instant::now();
        assert!(!is_readable_within(&ours, Duration::from_millis(20)));
        // Whole milliseconds are waited.
        assert!(began.elapsed() >= Duration::from_millis(19));
        drop(theirs);
        assert!(is_readable_within(&ours, Duration::ZERO), "its end is something to read");
    }

    #[test]
    fn a_deadline_is_never_early() {
        let due = now() + 1_500_000;
        block_on(until(due));
        assert!(now() >= due);
    }
}
