// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypercalls for PV guests only: page tables, and Xen's entry points into the guest.
#![expect(unsafe_code, reason = "hypercalls that change what addresses mean")]

use core::arch::naked_asm;

use drivers::{Call, Errno};
use xen_sys::callback::{CallbackOp, CallbackRegister};
use xen_sys::sched::SchedOp;
use xen_sys::xen::{DOMID_SELF, Hypercall, MmuUpdate, MmuextCmd, MmuextOp, Uvmf};
use xen_sys::xen_x86_64::TrapInfo;

use crate::hypercall::{address, call};

/// The instruction that enters Xen.
#[unsafe(naked)]
pub unsafe extern "C" fn syscall() {
    naked_asm!("syscall", "ret")
}

/// `mmu_update`: writes page-table entries, named by machine address.
///
/// # Errors
/// Xen's; the entries before the refused one are written.
///
/// # Safety
/// Must not unmap, or take a needed permission from, memory that Rust objects occupy.
pub unsafe fn mmu_update(entries: &mut [MmuUpdate]) -> Result<(), Errno> {
    let args = [address(entries), entries.len() as u64, 0, DOMID_SELF.into()];
    // SAFETY: Xen reads `len` entries; the rest is the caller's promise.
    unsafe { call(Call::MmuUpdate, Hypercall::MMU_UPDATE, args) }.map(drop)
}

/// `update_va_mapping`: writes the page-table entry that maps `va`, and flushes.
///
/// # Errors
/// Xen's: EINVAL if there is no L1 table for `va`, or the frame can't be mapped that way.
///
/// # Safety
/// As for [`mmu_update`].
pub unsafe fn update_va_mapping(va: usize, entry: u64, flush: Uvmf) -> Result<(), Errno> {
    let args = [va as u64, entry, flush.bits(), 0];
    // SAFETY: plain numbers; the rest is the caller's promise.
    unsafe { call(Call::UpdateVaMapping, Hypercall::UPDATE_VA_MAPPING, args) }.map(drop)
}

/// `MMUEXT_TLB_FLUSH_LOCAL`.
///
/// # Errors
/// None that Xen documents.
pub fn flush_tlb() -> Result<(), Errno> {
    let mut op = MmuextOp { cmd: MmuextCmd::TLB_FLUSH_LOCAL, ..Default::default() };
    let args = [address(&mut op), 1, 0, DOMID_SELF.into()];
    // SAFETY: Xen reads one `MmuextOp`.
    unsafe { call(Call::MmuextOp, Hypercall::MMUEXT_OP, args) }.map(drop)
}

/// `SCHEDOP_block`: unmasks upcalls, and sleeps unless one is pending.
pub fn sched_block() {
    let args = [u64::from(SchedOp::BLOCK.0), 0, 0, 0];
    // SAFETY: no memory is involved. It can't fail.
    let _ = unsafe { call(Call::SchedBlock, Hypercall::SCHED_OP, args) };
}

/// `set_trap_table`: registers exception handlers. The last entry becomes the terminator, with
/// address 0.
///
/// # Errors
/// EINVAL for an empty table; Xen's: EFAULT, EPERM for an address of Xen's.
///
/// # Safety
/// Each address must be that of a handler for the frame that Xen pushes.
pub unsafe fn set_trap_table(table: &mut [TrapInfo]) -> Result<(), Errno> {
    *table.last_mut().ok_or(Errno::EINVAL)? = TrapInfo::default();
    let args = [address(table), 0, 0, 0];
    // SAFETY: Xen reads up to the terminator; the caller vouches for the handlers.
    unsafe { call(Call::SetTrapTable, Hypercall::SET_TRAP_TABLE, args) }.map(drop)
}

/// `CALLBACKOP_register`: registers the entry point for events, or for failed segment loads.
///
/// # Errors
/// EINVAL for an address of Xen's.
///
/// # Safety
/// The address must be that of a handler for the frame that Xen pushes.
pub unsafe fn register_callback(mut callback: CallbackRegister) -> Result<(), Errno> {
    let args = [u64::from(CallbackOp::REGISTER.0), address(&mut callback), 0, 0];
    // SAFETY: Xen reads one `CallbackRegister`; the caller vouches for the handler.
    unsafe { call(Call::CallbackOp, Hypercall::CALLBACK_OP, args) }.map(drop)
}
