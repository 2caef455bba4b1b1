// SPDX-License-Identifier: MIT OR Apache-2.0
//! The dump of a fatal exception: at most 24 lines, most important first.

use bitflags::bitflags;

use super::frame::{self, TrapFrame};
use crate::metal::interface::interface;
use crate::metal::{backtrace, console, symbols};
use crate::println;

const PAGE_FAULT: u64 = 14;

bitflags! {
    /// The error code of a page fault.
    #[derive(Clone, Copy)]
    struct PageFault: u64 {
        const PROTECTION = 1 << 0;
        const WRITE = 1 << 1;
        const RESERVED = 1 << 3;
        const FETCH = 1 << 4;
    }
}

/// Prints the dump.
pub fn print(frame: &TrapFrame) {
    // First, before anything else can fault.
    let cr2 = interface().fault_address();
    let (short, long) = frame::name(frame.vector);
    console::fresh_line();
    println!("TRAP {short} {long}, vector {}, error code {:#x}", frame.vector, frame.error);
    if frame.vector == PAGE_FAULT {
        let (what, why) = page_fault(frame.error);
        match cr2 {
            Some(cr2) => println!("CR2 {cr2:016x}: {what} {why}"),
            None => println!("CR2 not known yet: {what} {why}"),
        }
    }
    match symbols::lookup(frame.rip as usize) {
        Some(symbol) => println!("RIP {:016x} {symbol}", frame.rip),
        None => println!("RIP {:016x} (no function)", frame.rip),
    }
    let f = frame;
    println!("RAX {:016x} RBX {:016x} RCX {:016x} RDX {:016x}", f.rax, f.rbx, f.rcx, f.rdx);
    println!("RSI {:016x} RDI {:016x} RBP {:016x} RSP {:016x}", f.rsi, f.rdi, f.rbp, f.rsp);
    println!("R8  {:016x} R9  {:016x} R10 {:016x} R11 {:016x}", f.r8, f.r9, f.r10, f.r11);
    println!("R12 {:016x} R13 {:016x} R14 {:016x} R15 {:016x}", f.r12, f.r13, f.r14, f.r15);
    println!("CS {:04x} SS {:04x} RFLAGS {:08x}", f.cs & 0xffff, f.ss & 0xffff, f.rflags);
    println!("backtrace:");
    backtrace::print(f.rbp as usize);
}

/// What was attempted, and why it failed.
fn page_fault(error: u64) -> (&'static str, &'static str) {
    let error = PageFault::from_bits_truncate(error);
    let what = if error.contains(PageFault::FETCH) {
        "execution"
    } else if error.contains(PageFault::WRITE) {
        "write"
    } else {
        "read"
    };
    let why = if error.contains(PageFault::RESERVED) {
        "through a page-table entry with reserved bits"
    } else if error.contains(PageFault::PROTECTION) {
        "of a page that does not allow it"
    } else {
        "where nothing is mapped"
    };
    (what, why)
}
