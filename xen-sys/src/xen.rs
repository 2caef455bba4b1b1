//! `xen.h`: hypercall numbers, page tables, virtual interrupts, and the pages a guest starts with.

use crate::xen_x86_64::{ArchSharedInfo, ArchVcpuInfo, XEN_LEGACY_MAX_VCPUS};
use bitflags::bitflags;
use core::sync::atomic::{AtomicI8, AtomicU8, AtomicU32, AtomicU64};

/// Domain numbers from here on aren't ordinary domains.
pub const DOMID_FIRST_RESERVED: u16 = 0x7ff0;
/// The calling domain, where an operation says that it accepts this.
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

/// Bytes of [`StartInfo::cmd_line`], the final NUL included.
pub const MAX_GUEST_CMDLINE: usize = 1024;

/// Bit of [`VcpuTimeInfo::flags`]: the clock is monotonic across VCPUs.
pub const XEN_PVCLOCK_TSC_STABLE_BIT: u8 = 1 << 0;
/// Bit of [`VcpuTimeInfo::flags`]: the guest was stopped by its host.
pub const XEN_PVCLOCK_GUEST_STOPPED: u8 = 1 << 1;

c_enum! {
    /// `__HYPERVISOR_*`: hypercall numbers, in `rax`.
    ///
    /// Arguments go in `rdi`, `rsi`, `rdx`, `r10`, `r8`; the result comes in `rax`; `rcx` and `r11`
    /// are lost, and the argument registers may be.
    #[derive(PartialOrd, Ord, Default)]
    pub struct Hypercall(u64) {
        /// (table): sets the exception handlers from an array of `TrapInfo`.
        SET_TRAP_TABLE = 0,
        /// (array of [`MmuUpdate`], count, done, domain): writes page table entries.
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
        /// (address, entry, [`Uvmf`]): writes the page table entry that maps an address.
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
        /// Switches it on.
        ENABLE = 0,
        /// Switches it off.
        DISABLE = 1,
    }
}

c_enum! {
    /// `VMASST_TYPE_*`: second argument of `vm_assist`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct VmasstType(u32) {
        /// Segments of 4 GiB (32 bits).
        FOUR_GB_SEGMENTS = 0,
        /// Tells when the former was needed (32 bits).
        FOUR_GB_SEGMENTS_NOTIFY = 1,
        /// Xen emulates stores to page tables.
        WRITABLE_PAGETABLES = 2,
        /// CR3 of 32 bits with PAE.
        PAE_EXTENDED_CR3 = 3,
        /// IOPL as on hardware, in place of that of the hypercall.
        ARCHITECTURAL_IOPL = 4,
        /// Marks `state_entry_time` while a registered runstate area is written.
        RUNSTATE_UPDATE_FLAG = 5,
        /// Hides the machine-to-physical table from user mode.
        M2P_STRICT = 32,
    }
}

c_enum! {
    /// `MMU_*`: low two bits of [`MmuUpdate::ptr`].
    #[derive(PartialOrd, Ord, Default)]
    pub struct MmuUpdateCmd(u64) {
        /// Writes the entry.
        NORMAL_PT_UPDATE = 0,
        /// Writes the machine-to-physical table: `val` is the guest frame.
        MACHPHYS_UPDATE = 1,
        /// Writes the entry, but keeps its accessed and dirty bits.
        PT_UPDATE_PRESERVE_AD = 2,
        /// As normal, the entry's frame not translated (guests with translation only).
        PT_UPDATE_NO_TRANSLATE = 3,
    }
}

/// One page table entry to write. Never one that maps a grant: only unmapping may end that.
#[doc(alias = "mmu_update")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MmuUpdate {
    /// Machine address of the entry, with an [`MmuUpdateCmd`] in bits 0 and 1.
    pub ptr: u64,
    /// The new entry, with a machine frame.
    pub val: u64,
}
layout!(MmuUpdate: 16 { ptr: 0, val: 8 });

c_enum! {
    /// `MMUEXT_*`: what an [`MmuextOp`] does.
    #[derive(PartialOrd, Ord, Default)]
    pub struct MmuextCmd(u32) {
        /// Pins frame `arg1` as a level 1 table. It must be mapped read-only everywhere.
        PIN_L1_TABLE = 0,
        /// Pins frame `arg1` as a level 2 table.
        PIN_L2_TABLE = 1,
        /// Pins frame `arg1` as a level 3 table.
        PIN_L3_TABLE = 2,
        /// Pins frame `arg1` as a level 4 table.
        PIN_L4_TABLE = 3,
        /// Unpins frame `arg1`.
        UNPIN_TABLE = 4,
        /// Loads frame `arg1` as the kernel's page tables.
        NEW_BASEPTR = 5,
        /// Flushes this VCPU's TLB.
        TLB_FLUSH_LOCAL = 6,
        /// Flushes address `arg1` from this VCPU's TLB.
        INVLPG_LOCAL = 7,
        /// Flushes the TLBs of the VCPUs in the bitmap at `arg2`.
        TLB_FLUSH_MULTI = 8,
        /// Flushes address `arg1` from the TLBs of the VCPUs in the bitmap at `arg2`.
        INVLPG_MULTI = 9,
        /// Flushes the TLBs of all VCPUs.
        TLB_FLUSH_ALL = 10,
        /// Flushes address `arg1` from the TLBs of all VCPUs.
        INVLPG_ALL = 11,
        /// Writes back the caches.
        FLUSH_CACHE = 12,
        /// Sets the LDT: address `arg1`, `arg2` entries.
        SET_LDT = 13,
        /// Loads frame `arg1` as the page tables of user mode.
        NEW_USER_BASEPTR = 15,
        /// Clears frame `arg1`.
        CLEAR_PAGE = 16,
        /// Copies frame `arg2` to frame `arg1`.
        COPY_PAGE = 17,
        /// Writes back the caches of all CPUs.
        FLUSH_CACHE_GLOBAL = 18,
        /// Marks frame `arg1` as the start of a superpage.
        MARK_SUPER = 19,
        /// Undoes the former.
        UNMARK_SUPER = 20,
    }
}

/// One operation of a batch for `mmuext_op`.
#[doc(alias = "mmuext_op")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MmuextOp {
    /// What to do.
    pub cmd: MmuextCmd,
    /// Zero.
    pub _pad: u32,
    /// Machine frame number or virtual address, as the command says.
    pub arg1: u64,
    /// Number of entries (32 bits), address, or machine frame number, as the command says.
    pub arg2: u64,
}
layout!(MmuextOp: 24 { cmd: 0, _pad: 4, arg1: 8, arg2: 16 });

bitflags! {
    /// `UVMF_*`: what `update_va_mapping` flushes afterwards.
    ///
    /// With a flush and without [`Uvmf::ALL`], an address of a VCPU bitmap may be or-ed in; none
    /// means this VCPU only.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Uvmf: u64 {
        /// The whole TLB.
        const TLB_FLUSH = 1 << 0;
        /// The one address.
        const INVLPG = 1 << 1;
        /// On all VCPUs.
        const ALL = 1 << 2;
        const _ = !0;
    }
}

impl Uvmf {
    /// Nothing.
    pub const NONE: Self = Self::from_bits_retain(0);
    /// On this VCPU; together with one of the two flushes.
    pub const LOCAL: Self = Self::from_bits_retain(0);
    /// On the VCPUs of the bitmap whose address is or-ed in.
    pub const MULTI: Self = Self::from_bits_retain(0);
    /// The bits that say what to flush.
    pub const FLUSHTYPE_MASK: Self = Self::from_bits_retain(3);
}

/// One hypercall of a batch for `multicall`.
#[doc(alias = "multicall_entry")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MulticallEntry {
    /// In: which.
    pub op: Hypercall,
    /// Out: its result; as `i64`, negative for an error.
    pub result: u64,
    /// In: its arguments.
    pub args: [u64; 6],
}
layout!(MulticallEntry: 64 { op: 0, result: 8, args: 16 });

/// How to turn the time stamp counter into time, in memory that Xen writes at any time.
///
/// System time in nanoseconds is `system_time + ((tsc - tsc_timestamp) << tsc_shift) *
/// tsc_to_system_mul >> 32`, a negative shift to the right. It holds if `version` was even before
/// and is the same after reading all fields.
#[doc(alias = "vcpu_time_info")]
#[repr(C)]
#[derive(Debug, Default)]
pub struct VcpuTimeInfo {
    /// Odd while Xen writes the other fields.
    pub version: AtomicU32,
    /// Nothing. The C header's `pad0`.
    pub _pad0: AtomicU32,
    /// Counter value at `system_time`.
    pub tsc_timestamp: AtomicU64,
    /// Nanoseconds since Xen booted, at `tsc_timestamp`.
    pub system_time: AtomicU64,
    /// Nanoseconds per shifted count, as a 32-bit fraction.
    pub tsc_to_system_mul: AtomicU32,
    /// Shift of counts; may be negative.
    pub tsc_shift: AtomicI8,
    /// `XEN_PVCLOCK_*`.
    pub flags: AtomicU8,
    /// Nothing. The C header's `pad1`.
    pub _pad1: [AtomicU8; 2],
}
layout!(VcpuTimeInfo: 32 {
    version: 0, _pad0: 4, tsc_timestamp: 8, system_time: 16, tsc_to_system_mul: 24, tsc_shift: 28,
    flags: 29, _pad1: 30,
});

impl VcpuTimeInfo {
    /// All zero.
    pub const fn new() -> Self {
        Self {
            version: AtomicU32::new(0),
            _pad0: AtomicU32::new(0),
            tsc_timestamp: AtomicU64::new(0),
            system_time: AtomicU64::new(0),
            tsc_to_system_mul: AtomicU32::new(0),
            tsc_shift: AtomicI8::new(0),
            flags: AtomicU8::new(0),
            _pad1: [const { AtomicU8::new(0) }; 2],
        }
    }
}

/// What a VCPU and Xen tell each other, in memory that Xen writes at any time.
#[doc(alias = "vcpu_info")]
#[repr(C)]
#[derive(Debug, Default)]
pub struct VcpuInfo {
    /// Set by Xen when an event is pending. Clear it *before* looking for events.
    pub evtchn_upcall_pending: AtomicU8,
    /// Non-zero: no upcalls. After clearing it look at `evtchn_upcall_pending`: Xen won't call for
    /// what became pending while it was set.
    pub evtchn_upcall_mask: AtomicU8,
    /// Nothing.
    pub _pad: [AtomicU8; 6],
    /// Bit *n*: word *n* of [`SharedInfo::evtchn_pending`] may have a bit. Take it by an exchange.
    pub evtchn_pending_sel: AtomicU64,
    /// The x86 part.
    pub arch: ArchVcpuInfo,
    /// The clock.
    pub time: VcpuTimeInfo,
}
layout!(VcpuInfo: 64 {
    evtchn_upcall_pending: 0, evtchn_upcall_mask: 1, _pad: 2, evtchn_pending_sel: 8, arch: 16,
    time: 32,
});

impl VcpuInfo {
    /// All zero: nothing pending, nothing masked.
    pub const fn new() -> Self {
        Self {
            evtchn_upcall_pending: AtomicU8::new(0),
            evtchn_upcall_mask: AtomicU8::new(0),
            _pad: [const { AtomicU8::new(0) }; 6],
            evtchn_pending_sel: AtomicU64::new(0),
            arch: ArchVcpuInfo::new(),
            time: VcpuTimeInfo::new(),
        }
    }
}

/// The page that a domain and Xen share, in memory that Xen writes at any time.
#[doc(alias = "shared_info")]
#[repr(C)]
#[derive(Debug)]
pub struct SharedInfo {
    /// One for each of the first VCPUs.
    pub vcpu_info: [VcpuInfo; XEN_LEGACY_MAX_VCPUS],
    /// Bit `port % 64` of word `port / 64`: the port is pending. The guest clears it.
    pub evtchn_pending: [AtomicU64; 64],
    /// Likewise: the port is masked. Clearing a bit here doesn't deliver what is pending already;
    /// `EvtchnOp::UNMASK` does.
    pub evtchn_mask: [AtomicU64; 64],
    /// Odd while Xen writes the wall clock.
    pub wc_version: AtomicU32,
    /// Seconds since 1970 UTC when Xen booted (system time 0), low half.
    pub wc_sec: AtomicU32,
    /// Nanoseconds, below 1000000000.
    pub wc_nsec: AtomicU32,
    /// Seconds, high half.
    pub wc_sec_hi: AtomicU32,
    /// The x86 part.
    pub arch: ArchSharedInfo,
}
layout!(SharedInfo: 3136 {
    vcpu_info: 0, evtchn_pending: 2048, evtchn_mask: 2560, wc_version: 3072, wc_sec: 3076,
    wc_nsec: 3080, wc_sec_hi: 3084, arch: 3088,
});

impl SharedInfo {
    /// All zero: nothing pending, nothing masked.
    pub const fn new() -> Self {
        Self {
            vcpu_info: [const { VcpuInfo::new() }; XEN_LEGACY_MAX_VCPUS],
            evtchn_pending: [const { AtomicU64::new(0) }; 64],
            evtchn_mask: [const { AtomicU64::new(0) }; 64],
            wc_version: AtomicU32::new(0),
            wc_sec: AtomicU32::new(0),
            wc_nsec: AtomicU32::new(0),
            wc_sec_hi: AtomicU32::new(0),
            arch: ArchSharedInfo::new(),
        }
    }
}

impl Default for SharedInfo {
    fn default() -> Self {
        Self::new()
    }
}

bitflags! {
    /// `SIF_*`: what kind of domain this is.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Sif: u32 {
        /// May do what other domains may not.
        const PRIVILEGED = 1 << 0;
        /// The first domain.
        const INITDOMAIN = 1 << 1;
        /// The module is a list of modules.
        const MULTIBOOT_MOD = 1 << 2;
        /// [`StartInfo::mod_start`] is a frame number.
        const MOD_START_PFN = 1 << 3;
        /// The toolstack can read the list of frames by its virtual address.
        const VIRT_P2M_4TOOLS = 1 << 4;
        const _ = !0;
    }
}

impl Sif {
    /// The bits that hold power management options.
    pub const PM_MASK: Self = Self::from_bits_retain(0xff << 8);
}

/// The page in `rsi` when a PV guest starts. Nobody writes it while the guest runs.
///
/// The console's two fields are the C header's `console.domU`; the first domain has others there.
#[doc(alias = "start_info")]
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartInfo {
    /// `xen-3.0-x86_64` and NULs.
    pub magic: [u8; 32],
    /// Pages of 4096 bytes that the domain has.
    pub nr_pages: u64,
    /// Machine *address* of [`SharedInfo`], not a frame number.
    pub shared_info: u64,
    /// What kind of domain this is.
    pub flags: Sif,
    /// Nothing.
    pub _pad0: u32,
    /// Machine frame number of the xenstore page.
    pub store_mfn: u64,
    /// Port of xenstore.
    pub store_evtchn: u32,
    /// Nothing.
    pub _pad1: u32,
    /// Machine frame number of the console page.
    #[doc(alias = "console.domU.mfn")]
    pub console_mfn: u64,
    /// Port of the console.
    #[doc(alias = "console.domU.evtchn")]
    pub console_evtchn: u32,
    /// Nothing.
    pub _pad2: u32,
    /// Virtual address of the level 4 page table.
    pub pt_base: u64,
    /// Pages of page tables.
    pub nr_pt_frames: u64,
    /// Virtual address of a `u64` array: the machine frame of each of the `nr_pages` guest frames.
    pub mfn_list: u64,
    /// Virtual address of the module, or its frame with [`Sif::MOD_START_PFN`]; 0 for none.
    pub mod_start: u64,
    /// Bytes of the module.
    pub mod_len: u64,
    /// The command line, NUL-terminated. The C header's bytes are signed.
    pub cmd_line: [u8; MAX_GUEST_CMDLINE],
    /// First guest frame of `mfn_list`, if the builder mapped it outside of the first range.
    pub first_p2m_pfn: u64,
    /// Frames of it.
    pub nr_p2m_frames: u64,
}
layout!(StartInfo: 1168 {
    magic: 0, nr_pages: 32, shared_info: 40, flags: 48, _pad0: 52, store_mfn: 56, store_evtchn: 64,
    _pad1: 68, console_mfn: 72, console_evtchn: 80, _pad2: 84, pt_base: 88, nr_pt_frames: 96,
    mfn_list: 104, mod_start: 112, mod_len: 120, cmd_line: 128, first_p2m_pfn: 1152,
    nr_p2m_frames: 1160,
});

impl StartInfo {
    /// All zero.
    pub const fn new() -> Self {
        Self {
            magic: [0; 32],
            nr_pages: 0,
            shared_info: 0,
            flags: Sif::empty(),
            _pad0: 0,
            store_mfn: 0,
            store_evtchn: 0,
            _pad1: 0,
            console_mfn: 0,
            console_evtchn: 0,
            _pad2: 0,
            pt_base: 0,
            nr_pt_frames: 0,
            mfn_list: 0,
            mod_start: 0,
            mod_len: 0,
            cmd_line: [0; MAX_GUEST_CMDLINE],
            first_p2m_pfn: 0,
            nr_p2m_frames: 0,
        }
    }
}

impl Default for StartInfo {
    fn default() -> Self {
        Self::new()
    }
}
