// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypercalls: one instruction, chosen by the mode, and counted per kind.
//!
//! Relies on the 64-bit ABI (docs/guest-guide/x86/hypercall-abi.rst): number in RAX, arguments in
//! RDI, RSI, RDX, R10, R8, result in RAX; under PV RCX and R11 are lost, and a debug Xen destroys
//! the argument registers. The calls that `drivers` makes are in `xen.rs`; those that the kernel
//! itself makes are in the modules below. No decisions here: errors are returned.
#![expect(unsafe_code, reason = "a hypercall is an instruction, and may change any memory")]

#[cfg(target_os = "none")]
pub mod system;

#[cfg(target_os = "none")]
use core::sync::atomic::{AtomicUsize, Ordering};

use drivers::{Call, Counters, Errno};
use xen_sys::xen::Hypercall;

/// Counts of everything this guest has done so far.
pub static COUNTERS: Counters = Counters::new();

/// Makes one hypercall. None used here takes five arguments.
///
/// # Errors
/// The hypercall's own.
///
/// # Safety
/// The arguments are valid for the operation, their addresses point to memory that it may read or
/// write, and its changes to page tables don't affect Rust's memory.
pub unsafe fn call(kind: Call, number: Hypercall, args: [u64; 4]) -> Result<u64, Errno> {
    COUNTERS.count(kind);
    // SAFETY: the caller's promise.
    Errno::check(unsafe { enter(number, args) })
}

/// The address of a structure that Xen reads and writes, as a hypercall argument.
pub fn address<T: ?Sized>(of: &mut T) -> u64 {
    (&raw mut *of).expose_provenance() as u64
}

/// A function that consists of the instruction and a return.
#[cfg(target_os = "none")]
pub type Instruction = unsafe extern "C" fn();

/// The address of the chosen [`Instruction`].
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
