//! Crashes on demand, to see that each protection holds and that the dump names the culprit.
//!
//! Each function really does the bad thing. One that comes back reports that nothing stopped it.
#![expect(unsafe_code, reason = "the point is to break the rules")]

use core::arch::asm;
use core::hint::black_box;
use core::ptr;

use tasks::CrashKind;

use crate::{image, memory, println};

/// Crashes the guest.
pub fn crash(kind: CrashKind) -> ! {
    match kind {
        CrashKind::Panic => panic!("crash panic, as asked"),
        CrashKind::Null => write_to(0),
        CrashKind::Text => write_to(image::text().start),
        CrashKind::Rodata => write_to(image::rodata().start),
        CrashKind::Exec => execute(memory::stack::bounds().start),
        CrashKind::Stack => {
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
