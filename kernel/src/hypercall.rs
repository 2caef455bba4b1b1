// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hypercall: one instruction, which the mode chooses, counted by its kind.
//!
//! Relies on the 64-bit ABI (docs/guest-guide/x86/hypercall-abi.rst): number in RAX, arguments in
//! RDI, RSI, RDX, R10, R8, result in RAX; under PV RCX and R11 are lost, and a debug Xen destroys
//! the argument registers. What `drivers` asks of Xen is in `xen.rs`; what the kernel asks for itself
//! is in the modules below. Refuses to decide: an error is returned.
#![expect(unsafe_code, reason = "a hypercall is an instruction, and may change any memory")]

#[cfg(target_os = "none")]
pub mod system;

#[cfg(target_os = "none")]
use core::sync::atomic::{AtomicUsize, Ordering};

use drivers::{Call, Counters, Errno};
use xen_sys::xen::Hypercall;

/// What this guest did so far.
pub static COUNTERS: Counters = Counters::new();

/// Makes one hypercall. None that is used here takes five arguments.
///
/// # Errors
/// The hypercall's own.
///
/// # Safety
/// The arguments are what the operation wants, their addresses are of memory that it may read
/// or change, and what it does to page tables leaves Rust's memory alone.
pub unsafe fn call(kind: Call, number: Hypercall, args: [u64; 4]) -> Result<u64, Errno> {
    COUNTERS.count(kind);
    // SAFETY: the caller's promise.
    Errno::check(unsafe { enter(number, args) })
}

/// The address of what Xen reads and writes, as a hypercall's argument.
pub fn address<T: ?Sized>(of: &mut T) -> u64 {
    (&raw mut *of).expose_provenance() as u64
}

/// A function that is the instruction and a return.
#[cfg(target_os = "none")]
pub type Instruction = unsafe extern "C" fn();

/// The address of the [`Instruction`] that was chosen.
#[cfg(target_os = "none")]
static INSTRUCTION: AtomicUsize = AtomicUsize::new(0);

/// Chooses the instruction, before the first hypercall.
#[cfg(target_os = "none")]
pub fn choose(instruction: Instruction) {
    INSTRUCTION.store(instruction as usize, Ordering::Relaxed);
}

#[cfg(target_os = "none")]
unsafe fn enter(number: Hypercall, args: [u64; 4]) -> i64 {
    let result: i64;
    // SAFETY: the caller's promise; the function was chosen at the entry and touches only what Xen
    // does. No option says `nomem`: Xen reads and writes our structures.
    unsafe {
        core::arch::asm!(
            "call {instruction}",
            instruction = in(reg) INSTRUCTION.load(Ordering::Relaxed),
            inlateout("rax") number.0 => result,
            inlateout("rdi") args[0] => _,
            inlateout("rsi") args[1] => _,
            inlateout("rdx") args[2] => _,
            inlateout("r10") args[3] => _,
            lateout("r8") _,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

#[cfg(not(target_os = "none"))]
unsafe fn enter(_: Hypercall, _: [u64; 4]) -> i64 {
    unreachable!("on the host there is no `Xen` to call")
}
