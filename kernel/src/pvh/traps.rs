// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions and events: the descriptor tables of a PVH guest.
//!
//! Exceptions have a stack of their own, so that one leaves a dump whatever became of the main stack.
//! An event is an interrupt, which comes only while the guest sleeps: it marks it as taken, and the
//! idle loop looks for it (`metal/executor.rs`).
#![expect(unsafe_code, reason = "descriptor tables are loaded by instructions")]

use core::arch::global_asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use drivers::Errno;
use x86_64::instructions::tables::{lgdt, lidt, load_tss};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::SegmentSelector;
use x86_64::{PrivilegeLevel, VirtAddr};
use xen_sys::hvm::params::{HVM_PARAM_CALLBACK_TYPE_VECTOR, HvmParam};

use super::{boot, hypercall};
use crate::metal::memory::layout::SHARED_INFO;

global_asm!(
    include_str!("traps/stubs.s"),
    crate::metal::traps::call_handler!(),
    "iretq",
    ".size pvh_trap, . - pvh_trap",
    ".popsection",
    on_trap = sym crate::metal::traps::handlers::on_trap,
    pending = const SHARED_INFO,
);

unsafe extern "C" {
    /// The stubs of the exceptions, 16 bytes each.
    static pvh_exceptions: u8;
    /// Marks the event as taken.
    safe fn pvh_event();
    /// Does nothing.
    safe fn pvh_nmi();
    /// Waits for an interrupt, which can come nowhere else.
    pub safe fn pvh_wait();
}

/// Vectors of exceptions.
const EXCEPTIONS: usize = 32;
/// A non-maskable interrupt, for which nobody has a reason.
const NMI: usize = 2;
/// The vector of events: the first that is no exception's.
const EVENT: usize = EXCEPTIONS;

/// The code segment and the data segment where `entry.s` has them, and the one that names the TSS.
static GDT: [AtomicU64; 5] = [
    AtomicU64::new(0),
    AtomicU64::new(0x00af_9a00_0000_ffff),
    AtomicU64::new(0x00cf_9200_0000_ffff),
    AtomicU64::new(0),
    AtomicU64::new(0),
];
/// The selector of the last.
const TASK: SegmentSelector = SegmentSelector::new(3, PrivilegeLevel::Ring0);

/// The task state segment: of use is what is at [`IST1`], the end of the stack for exceptions.
static TSS: [AtomicU32; 26] = [const { AtomicU32::new(0) }; 26];
const IST1: usize = 9;

static IDT: [[AtomicU64; 2]; EVENT + 1] = [const { [const { AtomicU64::new(0) }; 2] }; EVENT + 1];

/// Loads the tables, and has events come.
///
/// # Errors
/// Xen's, if it knows no events by vector.
pub fn init() -> Result<(), Errno> {
    /// Present, a segment of 64 bits for the state of a task that may run.
    const AVAILABLE: u64 = 0x89 << 40;
    let (tss, stack) = ((&raw const TSS).addr() as u64, boot::exception_stack_end() as u64);
    TSS[IST1].store(stack as u32, Ordering::Relaxed);
    TSS[IST1 + 1].store((stack >> 32) as u32, Ordering::Relaxed);
    let base = (tss & 0xff_ffff) << 16 | (tss >> 24 & 0xff) << 56;
    let limit = size_of_val(&TSS) as u64 - 1;
    GDT[3].store(AVAILABLE | base | limit, Ordering::Relaxed);
    GDT[4].store(tss >> 32, Ordering::Relaxed);
    // SAFETY: the segments in use are in it, as they are.
    unsafe { lgdt(&pointer(&GDT)) };
    // SAFETY: a segment of that table, which stays.
    unsafe { load_tss(TASK) };
    let stubs = (&raw const pvh_exceptions).addr();
    for vector in 0..EXCEPTIONS {
        set(vector, stubs + vector * 16, 1);
    }
    set(NMI, pvh_nmi as *const () as usize, 0);
    set(EVENT, pvh_event as *const () as usize, 0);
    // SAFETY: the gates lead to stubs that take what the processor pushes for their vector.
    unsafe { lidt(&pointer(&IDT)) };
    let delivery = HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | EVENT as u64;
    // SAFETY: the vector has its handler.
    unsafe { hypercall::set_param(HvmParam::CALLBACK_IRQ, delivery) }
}

/// Where a table is, as the processor wants to be told.
fn pointer<T>(table: &'static T) -> DescriptorTablePointer {
    let base = VirtAddr::new_truncate((&raw const *table).addr() as u64);
    DescriptorTablePointer { limit: size_of::<T>() as u16 - 1, base }
}

/// Makes the gate of `vector`: to `address`, on stack `ist`, 0 for the one that is in use.
fn set(vector: usize, address: usize, ist: u64) {
    /// Present, an interrupt gate of 64 bits, to the code segment.
    const GATE: u64 = 0x8e00 << 32 | 8 << 16;
    let address = address as u64;
    let low = GATE | ist << 32 | address & 0xffff | (address & 0xffff_0000) << 32;
    if let Some([first, second]) = IDT.get(vector) {
        first.store(low, Ordering::Relaxed);
        second.store(address >> 32, Ordering::Relaxed);
    }
}
