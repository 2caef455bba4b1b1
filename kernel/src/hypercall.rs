//! Hypercalls: an inline `syscall`, and one typed function for each operation that is used.
//!
//! Relies on the 64-bit PV ABI (docs/guest-guide/x86/hypercall-abi.rst): number in RAX, arguments
//! in RDI, RSI, RDX, R10, R8, result in RAX; RCX and R11 are lost, and a debug Xen destroys the
//! argument registers. Every call is counted by its kind. Refuses to decide: an error is returned.
#![expect(unsafe_code, reason = "a hypercall is an instruction, and may change any memory")]

mod events;
mod grants;
mod system;

use core::arch::asm;

use drivers::{Call, Counters, Errno};
use xen_sys::xen::{DOMID_SELF, Hypercall, MmuUpdate, MmuextCmd, MmuextOp, Uvmf};

pub use events::*;
pub use grants::*;
pub use system::*;

/// What this guest did so far.
pub static COUNTERS: Counters = Counters::new();

/// Makes one hypercall. None that is used here takes five arguments.
///
/// # Safety
/// The arguments are what the operation wants, their addresses are of memory that it may read
/// or change, and what it does to page tables leaves Rust's memory alone.
unsafe fn call(kind: Call, number: Hypercall, args: [u64; 4]) -> Result<u64, Errno> {
    COUNTERS.count(kind);
    let result: i64;
    // SAFETY: the caller's promise. No option says `nomem`: Xen reads and writes our structures.
    unsafe {
        asm!(
            "syscall",
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
    Errno::check(result)
}

/// The address of a structure that Xen reads and writes, as a hypercall's argument.
fn address<T: ?Sized>(of: &mut T) -> u64 {
    (&raw mut *of).expose_provenance() as u64
}

/// `mmu_update`: writes page-table entries, named by machine address.
///
/// # Errors
/// Xen's; the entries before the one it refused are written.
///
/// # Safety
/// No address that a Rust object lives at loses its frame, or a right that is used.
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
