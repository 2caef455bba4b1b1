// SPDX-License-Identifier: MIT OR Apache-2.0
//! `xen.h`: hypercall numbers, page tables, virtual interrupts, and the pages a guest starts with.
//!
//! The header is long, so most of its structs are in three files below this one, and re-exported
//! here.

mod mmu;
mod shared_info;
mod start_info;

pub use mmu::{MmuUpdate, MmuUpdateCmd, MmuextCmd, MmuextOp, Uvmf};
pub use shared_info::{
    SharedInfo, VcpuInfo, VcpuTimeInfo, XEN_PVCLOCK_GUEST_STOPPED, XEN_PVCLOCK_TSC_STABLE_BIT,
};
pub use start_info::{MAX_GUEST_CMDLINE, Sif, StartInfo};

/// Domids from here on aren't ordinary domains'.
pub const DOMID_FIRST_RESERVED: u16 = 0x7ff0;
/// The calling domain, in operations that are documented to accept this.
pub const DOMID_SELF: u16 = 0x7ff0;
/// The owner of I/O memory.
pub const DOMID_IO: u16 = 0x7ff1;
/// The owner of Xen's own pages.
pub const DOMID_XEN: u16 = 0x7ff2;
/// The owner of pages shared copy-on-write.
pub const DOMID_COW: u16 = 0x7ff3;
/// No domain.
pub const DOMID_INVALID: u16 = 0x7ff4;
/// The idle domain.
pub const DOMID_IDLE: u16 = 0x7fff;

c_enum! {
    /// `__HYPERVISOR_*`: hypercall numbers, in `rax`.
    ///
    /// Arguments are in `rdi`, `rsi`, `rdx`, `r10`, `r8`; the result is in `rax`. `rcx` and `r11`
    /// are clobbered, and the argument registers may be.
    #[derive(PartialOrd, Ord, Default)]
    pub struct Hypercall(u64) {
        /// (table): sets the exception handlers from an array of `TrapInfo`.
        SET_TRAP_TABLE = 0,
        /// (array of [`MmuUpdate`], count, done, domain): writes page-table entries.
        MMU_UPDATE = 1,
        /// (frames, entries): sets the GDT.
        SET_GDT = 2,
        /// (ss, rsp): the kernel's stack on entry from user mode.
        STACK_SWITCH = 3,
        /// (event, failsafe, syscall): the entry points, all at once.
        SET_CALLBACKS = 4,
        /// (set): sets or clears CR0.TS.
        FPU_TASKSWITCH = 5,
        /// (register, value): writes a debug register.
        SET_DEBUGREG = 8,
        /// (register): reads a debug register.
        GET_DEBUGREG = 9,
        /// (machine address, descriptor): writes a GDT or LDT entry.
        UPDATE_DESCRIPTOR = 10,
        /// (op, argument): a domain's memory.
        MEMORY_OP = 12,
        /// (array of [`MulticallEntry`], count): several hypercalls in one.
        MULTICALL = 13,
        /// (address, entry, [`Uvmf`]): writes the page-table entry that maps an address.
        UPDATE_VA_MAPPING = 14,
        /// (time): one `VIRQ_TIMER` at that system time in nanoseconds; 0 disarms.
        SET_TIMER_OP = 15,
        /// (op, argument): see `version`.
        XEN_VERSION = 17,
        /// ([`ConsoleIo`], count, bytes): Xen's console. `EPERM` for most guests.
        CONSOLE_IO = 18,
        /// (op, array, count): see `grant_table`.
        GRANT_TABLE_OP = 20,
        /// ([`VmasstCmd`], [`VmasstType`]): switches assistance on or off.
        VM_ASSIST = 21,
        /// As [`Self::UPDATE_VA_MAPPING`], for a page of another domain.
        UPDATE_VA_MAPPING_OTHERDOMAIN = 22,
        /// An `IretContext` on the stack; doesn't return.
        IRET = 23,
        /// (op, VCPU, argument): see `vcpu`.
        VCPU_OP = 24,
        /// (`Segbase`, base): sets a segment's base.
        SET_SEGMENT_BASE = 25,
        /// (array of [`MmuextOp`], count, done, domain): page tables and TLB.
        MMUEXT_OP = 26,
        /// (op, argument): security modules.
        XSM_OP = 27,
        /// (op, argument): non-maskable interrupts.
        NMI_OP = 28,
        /// (op, argument): see `sched`.
        SCHED_OP = 29,
        /// (op, argument): see `callback`.
        CALLBACK_OP = 30,
        /// (op, argument): see `event_channel`.
        EVENT_CHANNEL_OP = 32,
        /// (op, argument): physical devices.
        PHYSDEV_OP = 33,
        /// (op, argument): HVM guests.
        HVM_OP = 34,
    }
}

c_enum! {
    /// `VIRQ_*`: virtual interrupts.
    #[derive(PartialOrd, Ord, Default)]
    pub struct Virq(u32) {
        /// The VCPU's timer; per VCPU.
        TIMER = 0,
        /// Asks the guest to print its state; per VCPU.
        DEBUG = 1,
        /// Input on Xen's console; privileged.
        CONSOLE = 2,
        /// A domain ended; privileged.
        DOM_EXC = 3,
        /// Xen's trace buffer fills; privileged.
        TBUF = 4,
        /// A domain stopped for its debugger; privileged.
        DEBUGGER = 6,
        /// A profiling sample; per VCPU.
        XENOPROF = 7,
        /// Bytes in Xen's console ring; privileged.
        CON_RING = 8,
        /// A physical CPU came or went; privileged.
        PCPU_STATE = 9,
        /// A memory event; privileged.
        MEM_EVENT = 10,
        /// An Argo message.
        ARGO = 11,
        /// Xen's memory runs short; privileged.
        ENOMEM = 12,
        /// A performance counter; per VCPU.
        XENPMU = 13,
    }
}

c_enum! {
    /// `CONSOLEIO_*`: first argument of `console_io`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct ConsoleIo(u32) {
        /// Prints bytes on Xen's console.
        WRITE = 0,
        /// Reads bytes from Xen's console.
        READ = 1,
    }
}

c_enum! {
    /// `VMASST_CMD_*`: first argument of `vm_assist`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct VmasstCmd(u32) {
        /// Switches an assistance on.
        ENABLE = 0,
        /// Switches an assistance off.
        DISABLE = 1,
    }
}

c_enum! {
    /// `VMASST_TYPE_*`: second argument of `vm_assist`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct VmasstType(u32) {
        /// Segments of 4 GiB (32 bits).
        FOUR_GB_SEGMENTS = 0,
        /// Notifies the guest when the former was needed (32 bits).
        FOUR_GB_SEGMENTS_NOTIFY = 1,
        /// Xen emulates stores to page tables.
        WRITABLE_PAGETABLES = 2,
        /// 32-bit CR3 with PAE.
        PAE_EXTENDED_CR3 = 3,
        /// IOPL as on hardware, instead of by hypercall.
        ARCHITECTURAL_IOPL = 4,
        /// Marks `state_entry_time` while a registered runstate area is written.
        RUNSTATE_UPDATE_FLAG = 5,
        /// Hides the machine-to-physical table from user mode.
        M2P_STRICT = 32,
    }
}

/// One hypercall of a batch for `multicall`.
#[doc(alias = "multicall_entry")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MulticallEntry {
    /// In: which hypercall.
    pub op: Hypercall,
    /// Out: its result; as `i64`, negative for an error.
    pub result: u64,
    /// In: its arguments.
    pub args: [u64; 6],
}
layout!(MulticallEntry: 64 { op: 0, result: 8, args: 16 });
