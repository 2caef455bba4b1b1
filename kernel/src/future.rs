// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boxed futures, as the executor takes them.

use alloc::boxed::Box;
use core::pin::Pin;

use drivers::Errno;

/// A future, ready to be spawned.
pub type BoxedFuture = Pin<Box<dyn Future<Output = ()>>>;

/// `Box::pin`, but running out of memory is an error.
///
/// # Errors
/// ENOMEM.
pub fn boxed<F: Future<Output = ()> + 'static>(future: F) -> Result<BoxedFuture, Errno> {
    Ok(Box::into_pin(drivers::boxed::boxed(future).ok_or(Errno::ENOMEM)?))
}

#[cfg(test)]
mod tests {
    use super::boxed;
    use alloc::rc::Rc;
    use core::pin::Pin;
    use core::task::{Context, Poll, Waker};

    #[test]
    fn a_boxed_future_runs_and_is_dropped_once() {
        let witness = Rc::new(());
        let held = witness.clone();
        let mut future = boxed(async move { drop(held) }).expect("memory");
        assert_eq!(Rc::strong_count(&witness), 2);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(()));
        drop(future);
        assert_eq!(Rc::strong_count(&witness), 1);
    }

    #[test]
    fn a_future_of_no_size_takes_no_memory() {
        struct Done;
        impl Future for Done {
            type Output = ();

            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                Poll::Ready(())
            }
        }
        let mut future = boxed(Done).expect("memory");
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(()));
    }
}
