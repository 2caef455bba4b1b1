// SPDX-License-Identifier: MIT OR Apache-2.0
//! An ssh-agent in its own guest: private keys are here, and the programs that use them are
//! elsewhere.
//!
//! [`agent`] answers requests of the agent protocol, [`service`] carries requests and answers over
//! byte channels, [`prompt`] handles the guest's console. Nothing here depends on the machine, so
//! the host tests all of it; the guest itself is `main.rs`.
//!
//! No answer contains a private key. Requests are wiped from the ring and from the buffer before
//! the space is reused, keys when they are removed, and the stack after each request.
//!
//! Refused: keys other than ed25519, certificates, keys with constraints, extensions.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod agent;
pub mod prompt;
pub mod service;

use zeroize::Zeroize;

/// Calls `what` in its own stack frame, then overwrites what it left on the stack: 24 KiB, more
/// than signing, the deepest user, needs.
pub(crate) fn on_wiped_stack<R>(what: impl FnOnce() -> R) -> R {
    // Neither may be inlined into the caller, whose frame is not wiped.
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
