// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions and events: the descriptor tables of a PVH guest.
//!
//! Exceptions have their own stack, so they leave a dump whatever state the main stack is in. An
//! event is an interrupt, and arrives only while the guest sleeps: the handler acknowledges it, and
//! the idle loop polls for it (`metal/executor.rs`).
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
    /// Acknowledges the event.
    safe fn pvh_event();
    /// Does nothing.
    safe fn pvh_nmi();
    /// Waits for an interrupt; none can arrive anywhere else.
    pub safe fn pvh_wait();
}

/// Vectors of exceptions.
const EXCEPTIONS: usize = 32;
/// A non-maskable interrupt, which nobody has a reason to send.
const NMI: usize = 2;
/// The vector of events: the first after the exceptions.
const EVENT: usize = EXCEPTIONS;

/// The code and data segments where `entry.s` has them, and the TSS's segment.
static GDT: [AtomicU64; 5] = [
    AtomicU64::new(0),
    AtomicU64::new(0x00af_9a00_0000_ffff),
    AtomicU64::new(0x00cf_9200_0000_ffff),
    AtomicU64::new(0),
    AtomicU64::new(0),
];
/// The selector of the TSS's segment.
const TASK: SegmentSelector = SegmentSelector::new(3, PrivilegeLevel::Ring0);

/// The task state segment. Only the word at [`IST1`] is used: the end of the exception stack.
static TSS: [AtomicU32; 26] = [const { AtomicU32::new(0) }; 26];
const IST1: usize = 9;

static IDT: [[AtomicU64; 2]; EVENT + 1] = [const { [const { AtomicU64::new(0) }; 2] }; EVENT + 1];

/// Loads the tables, and enables events.
///
/// # Errors
/// Xen's, if it doesn't support events by vector.
pub fn init() -> Result<(), Errno> {
    /// Present, type 64-bit TSS, available.
    const AVAILABLE: u64 = 0x89 << 40;
    let (tss, stack) = ((&raw const TSS).addr() as u64, boot::exception_stack_end() as u64);
    TSS[IST1].store(stack as u32, Ordering::Relaxed);
    TSS[IST1 + 1].store((stack >> 32) as u32, Ordering::Relaxed);
    let base = (tss & 0xff_ffff) << 16 | (tss >> 24 & 0xff) << 56;
    let limit = size_of_val(&TSS) as u64 - 1;
    GDT[3].store(AVAILABLE | base | limit, Ordering::Relaxed);
    GDT[4].store(tss >> 32, Ordering::Relaxed);
    // SAFETY: it contains the segments in use, unchanged.
    unsafe { lgdt(&pointer(&GDT)) };
    // SAFETY: a segment of that table, which is static.
    unsafe { load_tss(TASK) };
    let stubs = (&raw const pvh_exceptions).addr();
    for vector in 0..EXCEPTIONS {
        set(vector, stubs + vector * 16, 1);
    }
    set(NMI, pvh_nmi as *const () as usize, 0);
    set(EVENT, pvh_event as *const () as usize, 0);
    // SAFETY: the gates lead to stubs that expect what the processor pushes for their vector.
    unsafe { lidt(&pointer(&IDT)) };
    let delivery = HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | EVENT as u64;
    // SAFETY: the vector has its handler.
    unsafe { hypercall::set_param(HvmParam::CALLBACK_IRQ, delivery) }
}

/// A pointer to a table in the processor's format.
fn pointer<T>(table: &'static T) -> DescriptorTablePointer {
    let base = VirtAddr::new_truncate((&raw const *table).addr() as u64);
    DescriptorTablePointer { limit: size_of::<T>() as u16 - 1, base }
}

/// Sets the gate of `vector` to `address`, on stack `ist`; 0 keeps the current stack.
fn set(vector: usize, address: usize, ist: u64) {
    /// Present, type 64-bit interrupt gate, to the code segment.
    const GATE: u64 = 0x8e00 << 32 | 8 << 16;
    let address = address as u64;
    let low = GATE | ist << 32 | address & 0xffff | (address & 0xffff_0000) << 32;
    if let Some([first, second]) = IDT.get(vector) {
        first.store(low, Ordering::Relaxed);
        second.store(address >> 32, Ordering::Relaxed);
    }
}
