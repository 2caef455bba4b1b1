//! Crashes on demand, to see that each protection holds and that the dump names the culprit.
//!
//! Each function really does the bad thing. One that comes back reports that nothing stopped it.
#![expect(unsafe_code, reason = "the point is to break the rules")]

use core::arch::asm;
use core::hint::black_box;
use core::ptr;

use crate::{image, memory, println};

/// How to crash, each to see one protection hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// A panic.
    Panic,
    /// A write to address 0.
    Null,
    /// A write to the kernel's text.
    Text,
    /// A write to read-only data.
    Rodata,
    /// Execution of a page that holds data.
    Exec,
    /// A stack that overflows into its guard page; Xen ends the domain without a dump.
    Stack,
}

/// Crashes the guest.
pub fn crash(kind: Crash) -> ! {
    match kind {
        Crash::Panic => panic!("crash panic, as asked"),
        Crash::Null => write_to(0),
        Crash::Text => write_to(image::text().start),
        Crash::Rodata => write_to(image::rodata().start),
        Crash::Exec => execute(memory::stack::bounds().start),
        Crash::Stack => {
            overflow(0);
        }
    }
    println!("crash: nothing stopped {kind:?}");
    crate::power::crash()
}

/// Stores a byte at `address`.
#[inline(never)]
fn write_to(address: usize) {
    let target = black_box(ptr::with_exposed_provenance_mut::<u8>(address));
    // SAFETY: none. The fault that follows is wanted.
    unsafe { asm!("mov byte ptr [{}], 0xcc", in(reg) target, options(nostack)) };
}

/// Jumps to `address`.
#[inline(never)]
fn execute(address: usize) {
    // SAFETY: none. The fault that follows is wanted.
    unsafe { asm!("call {}", in(reg) black_box(address), clobber_abi("C")) };
}

/// Uses up the stack.
#[inline(never)]
#[expect(unconditional_recursion, reason = "that is how a stack overflows")]
fn overflow(depth: u64) -> u64 {
    let filler = black_box([depth; 16]);
    overflow(depth + 1) + filler[0]
}
