//! Page tables.
#![expect(unsafe_code, reason = "hypercalls that change what addresses mean")]

use drivers::{Call, Errno};
use xen_sys::xen::{DOMID_SELF, Hypercall, MmuUpdate, MmuextCmd, MmuextOp, Uvmf};

use super::{address, call};

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
