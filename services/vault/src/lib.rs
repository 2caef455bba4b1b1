// SPDX-License-Identifier: MIT OR Apache-2.0
//! An ssh-agent in a guest of its own: private keys are here, and whoever uses them is elsewhere.
//!
//! [`agent`] decides what each request of the agent protocol is answered, [`service`] carries
//! requests and answers over a byte channel, [`prompt`] obeys the guest's console. Nothing here
//! needs the machine, so that the host tests all of it; the guest itself is `main.rs`.
//!
//! No answer has a private key in it, and there is none that asks for one. Requests are wiped from
//! the ring and from the buffer before their room is given back, keys when they are removed, and
//! the stack below them after each request.
//!
//! It refuses: keys that are not ed25519, certificates, keys with constraints, extensions.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod agent;
pub mod prompt;
pub mod service;

use zeroize::Zeroize;

/// Calls `what` with a stack frame of its own, and overwrites what that and all below it left
/// there: 24 KiB, more than signing takes, which takes most.
pub(crate) fn on_wiped_stack<R>(what: impl FnOnce() -> R) -> R {
    // Neither may become a part of the caller, whose frame is not wiped.
    #[inline(never)]
    fn call<R>(what: impl FnOnce() -> R) -> R {
        what()
    }
    #[inline(never)]
    fn wipe() {
        let mut below = [0_u8; 24 << 10];
        below.zeroize();
        core::hint::black_box(&mut below);
    }
    let result = call(what);
    wipe();
    result
}
