// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fallible boxing.
#![expect(unsafe_code, reason = "an allocation that may fail is unsafe in stable Rust")]

use alloc::alloc::{Layout, alloc};
use alloc::boxed::Box;

/// `Box::new`, but `None` if memory runs out.
pub fn boxed<T>(value: T) -> Option<Box<T>> {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        return Some(Box::new(value)); // takes no memory
    }
    // SAFETY: the size is not zero.
    let place = unsafe { alloc(layout) }.cast::<T>();
    if place.is_null() {
        return None;
    }
    // SAFETY: just allocated, with the size and alignment of `T`.
    unsafe { place.write(value) };
    // SAFETY: allocated as a box of `T` is, and filled.
    Some(unsafe { Box::from_raw(place) })
}

#[cfg(test)]
mod tests {
    use super::boxed;
    use alloc::rc::Rc;

    #[test]
    fn a_boxed_value_is_dropped_once() {
        let witness = Rc::new(());
        let held = boxed(witness.clone()).expect("memory");
        assert_eq!(Rc::strong_count(&witness), 2);
        drop(held);
        assert_eq!(Rc::strong_count(&witness), 1);
    }

    #[test]
    fn a_value_of_no_size_takes_no_memory() {
        assert!(boxed(()).is_some());
    }
}
