// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes a failing sequence short: leaves out what it can while the failure stays.

use alloc::vec::Vec;

/// Leaves out what it can of `ops` as long as `fails`, until nothing more can go.
pub fn shrink<T: Clone>(mut ops: Vec<T>, fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    loop {
        let before = ops.len();
        ops = shrink_once(ops, &fails);
        if ops.len() == before {
            return ops;
        }
    }
}

/// Leaves out ever smaller parts, each once.
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
