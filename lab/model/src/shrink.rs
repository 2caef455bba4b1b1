// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shrinks a failing sequence: removes whatever it can while the failure persists.

use alloc::vec::Vec;

/// Removes from `ops` whatever it can while `fails` stays true, until nothing more can be removed.
pub fn shrink<T: Clone>(mut ops: Vec<T>, fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    loop {
        let before = ops.len();
        ops = shrink_once(ops, &fails);
        if ops.len() == before {
            return ops;
        }
    }
}

/// Tries once to remove each part, with ever smaller parts.
fn shrink_once<T: Clone>(mut ops: Vec<T>, fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut part = ops.len().div_ceil(2);
    while part > 0 {
        let mut at = 0;
        while at < ops.len() {
            let mut shorter = ops.clone();
            shorter.drain(at..(at + part).min(ops.len()));
            if fails(&shorter) {
                ops = shorter;
            } else {
                at += part;
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    ops
}
