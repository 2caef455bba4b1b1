// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hypercalls for PVH guests only: parameters, and pages that Xen provides.
#![expect(unsafe_code, reason = "hypercalls")]

use core::arch::naked_asm;
use core::arch::x86_64::__cpuid;

use drivers::{Call, Errno};
use xen_sys::hvm::hvm_op::{HvmOp, XenHvmParam};
use xen_sys::hvm::params::HvmParam;
use xen_sys::memory::{Mapspace, MemoryOp, XenAddToPhysmap};
use xen_sys::xen::{DOMID_SELF, Hypercall};

use crate::hypercall::{Instruction, address, call};

/// Intel's hypercall instruction.
#[unsafe(naked)]
unsafe extern "C" fn vmcall() {
    naked_asm!("vmcall", "ret")
}

/// AMD's.
#[unsafe(naked)]
unsafe extern "C" fn vmmcall() {
    naked_asm!("vmmcall", "ret")
}

/// This processor's hypercall instruction. Xen's hypercall page is not needed.
pub fn instruction() -> Instruction {
    /// The first letters of `AuthenticAMD` and `HygonGenuine`.
    const AMD: [[u8; 4]; 2] = [*b"Auth", *b"Hygo"];
    if AMD.contains(&__cpuid(0).ebx.to_le_bytes()) { vmmcall } else { vmcall }
}

/// `HVMOP_get_param` of this domain.
///
/// # Errors
/// Xen's: EINVAL for a parameter that it doesn't know.
pub fn param(index: HvmParam) -> Result<u64, Errno> {
    let mut param = XenHvmParam { domid: DOMID_SELF, index, ..Default::default() };
    let args = [HvmOp::GET_PARAM.0.into(), address(&mut param), 0, 0];
    // SAFETY: Xen writes one `XenHvmParam`.
    unsafe { call(Call::HvmOp, Hypercall::HVM_OP, args) }.map(|_| param.value)
}

/// `HVMOP_set_param` of this domain.
///
/// # Errors
/// Xen's: EINVAL for a parameter that it doesn't know.
///
/// # Safety
/// Any interrupt that this enables must have a handler.
pub unsafe fn set_param(index: HvmParam, value: u64) -> Result<(), Errno> {
    let mut param = XenHvmParam { domid: DOMID_SELF, index, value, ..Default::default() };
    let args = [HvmOp::SET_PARAM.0.into(), address(&mut param), 0, 0];
    // SAFETY: Xen reads one `XenHvmParam`.
    unsafe { call(Call::HvmOp, Hypercall::HVM_OP, args) }.map(drop)
}

/// `XENMEM_current_reservation`: the number of pages that Xen counts as this domain's.
///
/// # Errors
/// Xen's.
pub fn current_reservation() -> Result<u64, Errno> {
    let mut domid = DOMID_SELF;
    let args = [MemoryOp::CURRENT_RESERVATION.0.into(), address(&mut domid), 0, 0];
    // SAFETY: Xen reads one domain number.
    unsafe { call(Call::MemoryOp, Hypercall::MEMORY_OP, args) }
}

/// `XENMEM_add_to_physmap`: page `idx` of `space` appears at guest frame `gpfn`.
///
/// # Errors
/// Xen's: ENOMEM without memory for its own tables.
///
/// # Safety
/// `gpfn` is not memory of this guest.
pub unsafe fn add_to_physmap(space: Mapspace, idx: u64, gpfn: u64) -> Result<(), Errno> {
    let mut op = XenAddToPhysmap { domid: DOMID_SELF, space, idx, gpfn, ..Default::default() };
    let args = [MemoryOp::ADD_TO_PHYSMAP.0.into(), address(&mut op), 0, 0];
    // SAFETY: Xen reads one `XenAddToPhysmap`; the caller vouches for `gpfn`.
    unsafe { call(Call::MemoryOp, Hypercall::MEMORY_OP, args) }.map(drop)
}
