// SPDX-License-Identifier: MIT OR Apache-2.0
//! `arch-x86/xen-x86_64.h` and `arch-x86/xen.h`: what is specific to 64-bit x86 guests.

use core::sync::atomic::AtomicU64;

/// The first virtual address that belongs to Xen.
pub const HYPERVISOR_VIRT_START: u64 = 0xffff_8000_0000_0000;
/// The end (exclusive) of the virtual addresses that belong to Xen.
pub const HYPERVISOR_VIRT_END: u64 = 0xffff_8800_0000_0000;
/// The address of the read-only `u64` table that gives each machine frame's guest frame.
pub const MACH2PHYS_VIRT_START: u64 = 0xffff_8000_0000_0000;
/// The end (exclusive) of that table. Not all of it is mapped.
pub const MACH2PHYS_VIRT_END: u64 = 0xffff_8040_0000_0000;
/// The number of entries that table has room for.
pub const MACH2PHYS_NR_ENTRIES: u64 = 0x8_0000_0000;

/// Code segment selector of 64-bit code in ring 3; a 64-bit PV kernel runs in ring 3.
pub const FLAT_RING3_CS64: u16 = 0xe033;
/// Data segment selector of 64-bit code in ring 3: null.
pub const FLAT_RING3_DS64: u16 = 0;
/// Stack segment selector of 64-bit code in ring 3.
pub const FLAT_RING3_SS64: u16 = 0xe02b;
/// Code segment selector of the kernel.
pub const FLAT_KERNEL_CS: u16 = FLAT_RING3_CS64;
/// Data segment selector of the kernel.
pub const FLAT_KERNEL_DS: u16 = FLAT_RING3_DS64;
/// Stack segment selector of the kernel.
pub const FLAT_KERNEL_SS: u16 = FLAT_RING3_SS64;

/// The first GDT entry that belongs to Xen: a guest's own GDT has fewer entries.
pub const FIRST_RESERVED_GDT_ENTRY: u32 = 7168;
/// The number of VCPUs whose `VcpuInfo` is in the shared info page.
pub const XEN_LEGACY_MAX_VCPUS: usize = 32;

c_enum! {
    /// `SEGBASE_*`: first argument of `set_segment_base`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct Segbase(u32) {
        /// The base of FS.
        FS = 0,
        /// The base of GS in user mode.
        GS_USER = 1,
        /// The base of GS in kernel mode.
        GS_KERNEL = 2,
        /// The selector of GS in user mode (not a base).
        GS_USER_SEL = 3,
    }
}

/// Bit of [`IretContext::flags`]: return as from `syscall`, without restoring `rcx` and `r11`.
#[doc(alias = "VGCF_in_syscall")]
pub const VGCF_IN_SYSCALL: u64 = 1 << 8;

/// What the `iret` hypercall expects on the stack, lowest address first.
#[doc(alias = "iret_context")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IretContext {
    /// Restored.
    pub rax: u64,
    /// Restored, unless [`VGCF_IN_SYSCALL`].
    pub r11: u64,
    /// Restored, unless [`VGCF_IN_SYSCALL`].
    pub rcx: u64,
    /// 0 or [`VGCF_IN_SYSCALL`].
    pub flags: u64,
    /// Where to continue.
    pub rip: u64,
    /// Selector. If its privilege bits are 3, it returns to user mode, else it stays in the kernel.
    pub cs: u64,
    /// Flags. The interrupt flag, inverted, becomes the upcall mask.
    pub rflags: u64,
    /// Stack pointer.
    pub rsp: u64,
    /// Selector.
    pub ss: u64,
}
layout!(IretContext: 72 {
    rax: 0, r11: 8, rcx: 16, flags: 24, rip: 32, cs: 40, rflags: 48, rsp: 56, ss: 64,
});

/// One entry of the table for `set_trap_table`. The entry with address 0 ends the table.
#[doc(alias = "trap_info")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrapInfo {
    /// Exception number, 0 to 255.
    pub vector: u8,
    /// Bits 0 and 1: the ring from which `int` may raise it. Bit 2: mask the upcall on entry.
    pub flags: u8,
    /// Code segment selector of the handler.
    pub cs: u16,
    /// Zero.
    pub _pad: u32,
    /// Virtual address of the handler.
    pub address: u64,
}
layout!(TrapInfo: 16 { vector: 0, flags: 1, cs: 2, _pad: 4, address: 8 });

/// The x86 part of `VcpuInfo`, in memory that Xen writes at any time.
#[doc(alias = "arch_vcpu_info")]
#[repr(C)]
#[derive(Debug, Default)]
pub struct ArchVcpuInfo {
    /// The address of the last page fault. Read it before anything else can fault.
    pub cr2: AtomicU64,
    /// Padding.
    pub _pad: AtomicU64,
}
layout!(ArchVcpuInfo: 16 { cr2: 0, _pad: 8 });

impl ArchVcpuInfo {
    /// All zero.
    pub const fn new() -> Self {
        Self { cr2: AtomicU64::new(0), _pad: AtomicU64::new(0) }
    }
}

/// The x86 part of `SharedInfo`, mostly for the toolstack: what a guest must provide to be saved.
#[doc(alias = "arch_shared_info")]
#[repr(C)]
#[derive(Debug, Default)]
pub struct ArchSharedInfo {
    /// The number of entries of the list of frames.
    pub max_pfn: AtomicU64,
    /// The machine frame of the root of the list of frames, or 0.
    pub pfn_to_mfn_frame_list_list: AtomicU64,
    /// The reason for the last NMI; written by Xen.
    pub nmi_reason: AtomicU64,
    /// The value of CR3 under which `p2m_vaddr` is valid.
    pub p2m_cr3: AtomicU64,
    /// The virtual address of the list of frames.
    pub p2m_vaddr: AtomicU64,
    /// Odd while the list is being changed.
    pub p2m_generation: AtomicU64,
}
layout!(ArchSharedInfo: 48 {
    max_pfn: 0, pfn_to_mfn_frame_list_list: 8, nmi_reason: 16, p2m_cr3: 24, p2m_vaddr: 32,
    p2m_generation: 40,
});

impl ArchSharedInfo {
    /// All zero.
    pub const fn new() -> Self {
        Self {
            max_pfn: AtomicU64::new(0),
            pfn_to_mfn_frame_list_list: AtomicU64::new(0),
            nmi_reason: AtomicU64::new(0),
            p2m_cr3: AtomicU64::new(0),
            p2m_vaddr: AtomicU64::new(0),
            p2m_generation: AtomicU64::new(0),
        }
    }
}
