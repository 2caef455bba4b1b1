// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boxed futures, as the executor takes them.
#![expect(unsafe_code, reason = "an allocation that may fail is unsafe in stable Rust")]

use alloc::alloc::{Layout, alloc};
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
    let layout = Layout::new::<F>();
    if layout.size() == 0 {
        return Ok(Box::pin(future)); // takes no memory
    }
    // SAFETY: the size is not zero.
    let place = unsafe { alloc(layout) }.cast::<F>();
    if place.is_null() {
        return Err(Errno::ENOMEM);
    }
    // SAFETY: just allocated, with the size and alignment of `F`.
    unsafe { place.write(future) };
    // SAFETY: allocated as a box of `F` is, and filled.
    Ok(Box::into_pin(unsafe { Box::from_raw(place) }))
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
