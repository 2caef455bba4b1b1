// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen's entry points into the guest: each builds a `TrapFrame`, calls the handler, and returns.
//!
//! Xen pushes SS, RSP, RFLAGS, CS, RIP, an error code for some vectors, R11, RCX
//! (xen/arch/x86/x86_64/entry.S, create_bounce_frame), starting from an RSP that is a multiple of
//! 16. The privilege bits of CS say ring 0, to mean "the kernel"; a 64-bit PV kernel runs in ring
//!     3, so a plain `iretq` needs 3 in CS and SS. HYPERVISOR_iret would cost a hypercall and
//!     unmask events; the upcall mask must stay set while any code of this kernel runs.
#![expect(unsafe_code, reason = "entry points are assembly")]

use core::arch::global_asm;

/// Declares the stubs for all vectors, and their table.
macro_rules! stubs {
    ($($vector:literal $name:ident $kind:literal,)*) => {
        unsafe extern "C" {
            $(fn $name();)*
            /// Does nothing: the idle loop polls for events.
            pub safe fn event_upcall();
            /// Ends in [`super::on_failsafe`].
            pub safe fn failsafe_callback();
        }

        /// The vectors that Xen forwards, and their stubs.
        pub const STUBS: &[(u8, unsafe extern "C" fn())] = &[$(($vector, $name),)*];

        global_asm!(
            include_str!("stubs.s"),
            crate::metal::traps::call_handler!(),
            "return_from_xen",
            ".size trap_common, . - trap_common",
            $(concat!($kind, " ", stringify!($name), ", ", stringify!($vector)),)*
            ".popsection",
            on_trap = sym crate::metal::traps::handlers::on_trap,
            on_failsafe = sym super::on_failsafe,
        );
    };
}

stubs! {
    0 divide_error "trap",
    1 debug "trap",
    3 breakpoint "trap",
    4 overflow "trap",
    5 bound_range "trap",
    6 invalid_opcode "trap",
    7 device_not_available "trap",
    10 invalid_tss "trap_with_error",
    11 segment_not_present "trap_with_error",
    12 stack_segment "trap_with_error",
    13 general_protection "trap_with_error",
    14 page_fault "trap_with_error",
    16 floating_point "trap",
    17 alignment_check "trap_with_error",
    18 machine_check "trap",
    19 simd_floating_point "trap",
    21 control_protection "trap_with_error",
}
