// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of Xen's headers: every struct, field and constant, with its C name.

use crate::Row;
use crate::compare::{compare_constants, compare_family, compare_struct};
use std::mem::{offset_of, size_of};
use xen_sys::{
    callback::*, elfnote::*, errno::*, event_channel::*, features::*, grant_table::*,
    hvm::hvm_op::*, hvm::params::*, hvm::start_info::*, io::console::*, io::libxenvchan::*,
    io::xs_wire::*, memory::*, sched::*, vcpu::*, version::*, xen::*, xen_x86_64::*,
};

/// Returns all rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    xen(&mut rows);
    xen_pages(&mut rows);
    xen_x86_64(&mut rows);
    grant_table(&mut rows);
    event_channel(&mut rows);
    sched_and_vcpu(&mut rows);
    version_and_features(&mut rows);
    callback(&mut rows);
    elfnote(&mut rows);
    errno(&mut rows);
    console(&mut rows);
    libxenvchan(&mut rows);
    xs_wire(&mut rows);
    memory(&mut rows);
    hvm(&mut rows);
    rows
}

fn xen(rows: &mut Vec<Row>) {
    compare_constants!(rows, {
        DOMID_FIRST_RESERVED, DOMID_SELF, DOMID_IO, DOMID_XEN, DOMID_COW, DOMID_INVALID, DOMID_IDLE,
    });
    compare_family!(rows, number Hypercall = Lower "__HYPERVISOR_" {
        SET_TRAP_TABLE, MMU_UPDATE, SET_GDT, STACK_SWITCH, SET_CALLBACKS, FPU_TASKSWITCH,
        SET_DEBUGREG, GET_DEBUGREG, UPDATE_DESCRIPTOR, MEMORY_OP, MULTICALL, UPDATE_VA_MAPPING,
        SET_TIMER_OP, XEN_VERSION, CONSOLE_IO, GRANT_TABLE_OP, VM_ASSIST,
        UPDATE_VA_MAPPING_OTHERDOMAIN, IRET, VCPU_OP, SET_SEGMENT_BASE, MMUEXT_OP, XSM_OP, NMI_OP,
        SCHED_OP, CALLBACK_OP, EVENT_CHANNEL_OP, PHYSDEV_OP, HVM_OP,
    });
    compare_family!(rows, number Virq = Upper "VIRQ_" {
        TIMER, DEBUG, CONSOLE, DOM_EXC, TBUF, DEBUGGER, XENOPROF, CON_RING, PCPU_STATE, MEM_EVENT,
        ARGO, ENOMEM, XENPMU,
    });
    compare_family!(rows, number ConsoleIo = Lower "CONSOLEIO_" { WRITE, READ });
    compare_family!(rows, number VmasstCmd = Lower "VMASST_CMD_" { ENABLE, DISABLE });
    compare_family!(rows, number VmasstType = Lower "VMASST_TYPE_" {
        FOUR_GB_SEGMENTS = "VMASST_TYPE_4gb_segments",
        FOUR_GB_SEGMENTS_NOTIFY = "VMASST_TYPE_4gb_segments_notify",
        WRITABLE_PAGETABLES, PAE_EXTENDED_CR3, ARCHITECTURAL_IOPL, RUNSTATE_UPDATE_FLAG, M2P_STRICT,
    });
    compare_struct!(rows, MulticallEntry = "struct multicall_entry" { op, result, args });
    compare_family!(rows, number MmuUpdateCmd = Upper "MMU_" {
        NORMAL_PT_UPDATE, MACHPHYS_UPDATE, PT_UPDATE_PRESERVE_AD, PT_UPDATE_NO_TRANSLATE,
    });
    compare_struct!(rows, MmuUpdate = "struct mmu_update" { ptr, val });
    compare_family!(rows, number MmuextCmd = Upper "MMUEXT_" {
        PIN_L1_TABLE, PIN_L2_TABLE, PIN_L3_TABLE, PIN_L4_TABLE, UNPIN_TABLE, NEW_BASEPTR,
        TLB_FLUSH_LOCAL, INVLPG_LOCAL, TLB_FLUSH_MULTI, INVLPG_MULTI, TLB_FLUSH_ALL, INVLPG_ALL,
        FLUSH_CACHE, SET_LDT, NEW_USER_BASEPTR, CLEAR_PAGE, COPY_PAGE, FLUSH_CACHE_GLOBAL,
        MARK_SUPER, UNMARK_SUPER,
    });
    compare_struct!(rows, MmuextOp = "struct mmuext_op" { cmd, arg1, arg2 });
    compare_family!(rows, flags Uvmf = Upper "UVMF_" {
        TLB_FLUSH, INVLPG, ALL, NONE, LOCAL, MULTI, FLUSHTYPE_MASK,
    });
}

fn xen_pages(rows: &mut Vec<Row>) {
    compare_constants!(rows, {
        XEN_PVCLOCK_TSC_STABLE_BIT, XEN_PVCLOCK_GUEST_STOPPED, MAX_GUEST_CMDLINE,
    });
    compare_struct!(rows, VcpuTimeInfo = "struct vcpu_time_info" {
        version, tsc_timestamp, system_time, tsc_to_system_mul, tsc_shift, flags,
    });
    compare_struct!(rows, VcpuInfo = "struct vcpu_info" {
        evtchn_upcall_pending, evtchn_upcall_mask, evtchn_pending_sel, arch, time,
    });
    compare_struct!(rows, SharedInfo = "struct shared_info" {
        vcpu_info, evtchn_pending, evtchn_mask, wc_version, wc_sec, wc_nsec, wc_sec_hi, arch,
    });
    compare_family!(rows, flags Sif = Upper "SIF_" {
        PRIVILEGED, INITDOMAIN, MULTIBOOT_MOD, MOD_START_PFN, VIRT_P2M_4TOOLS, PM_MASK,
    });
    compare_struct!(rows, StartInfo = "struct start_info" {
        magic, nr_pages, shared_info, flags, store_mfn, store_evtchn,
        console_mfn = "console.domU.mfn", console_evtchn = "console.domU.evtchn",
        pt_base, nr_pt_frames, mfn_list, mod_start, mod_len, cmd_line, first_p2m_pfn, nr_p2m_frames,
    });
}

fn xen_x86_64(rows: &mut Vec<Row>) {
    compare_constants!(rows, {
        HYPERVISOR_VIRT_START, HYPERVISOR_VIRT_END, MACH2PHYS_VIRT_START, MACH2PHYS_VIRT_END,
        MACH2PHYS_NR_ENTRIES, FLAT_RING3_CS64, FLAT_RING3_DS64, FLAT_RING3_SS64, FLAT_KERNEL_CS,
        FLAT_KERNEL_DS, FLAT_KERNEL_SS, FIRST_RESERVED_GDT_ENTRY, XEN_LEGACY_MAX_VCPUS,
        VGCF_IN_SYSCALL = "VGCF_in_syscall",
    });
    compare_family!(rows, number Segbase = Upper "SEGBASE_" {
        FS, GS_USER, GS_KERNEL, GS_USER_SEL,
    });
    compare_struct!(rows, IretContext = "struct iret_context" {
        rax, r11, rcx, flags, rip, cs, rflags, rsp, ss,
    });
    compare_struct!(rows, TrapInfo = "struct trap_info" { vector, flags, cs, address });
    compare_struct!(rows, ArchVcpuInfo = "struct arch_vcpu_info" { cr2 });
    compare_struct!(rows, ArchSharedInfo = "struct arch_shared_info" {
        max_pfn, pfn_to_mfn_frame_list_list, nmi_reason, p2m_cr3, p2m_vaddr, p2m_generation,
    });
}

fn grant_table(rows: &mut Vec<Row>) {
    compare_constants!(rows, {
        GNTTAB_NR_RESERVED_ENTRIES, GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE,
    });
    compare_struct!(rows, GrantEntryV1 = "struct grant_entry_v1" { flags, domid, frame });
    let per_frame = i64::from(GrantEntryV1::PER_FRAME);
    let c = "4096 / sizeof(struct grant_entry_v1)".into();
    rows.push(Row { item: "GrantEntryV1::PER_FRAME".into(), c, value: per_frame });
    compare_family!(rows, flags Gtf = Lower "GTF_" {
        READONLY, READING, WRITING, PWT = "GTF_PWT", PCD = "GTF_PCD", PAT = "GTF_PAT", SUB_PAGE,
        TYPE_MASK, INVALID, PERMIT_ACCESS, ACCEPT_TRANSFER, TRANSITIVE,
    });
    compare_family!(rows, number GnttabOp = Lower "GNTTABOP_" {
        MAP_GRANT_REF, UNMAP_GRANT_REF, SETUP_TABLE, DUMP_TABLE, TRANSFER, COPY, QUERY_SIZE,
        UNMAP_AND_REPLACE, SET_VERSION, GET_STATUS_FRAMES, GET_VERSION, SWAP_GRANT_REF, CACHE_FLUSH,
    });
    compare_family!(rows, number GrantStatus = Lower "GNTST_" {
        OKAY, GENERAL_ERROR, BAD_DOMAIN, BAD_GNTREF, BAD_HANDLE, BAD_VIRT_ADDR, BAD_DEV_ADDR,
        NO_DEVICE_SPACE, PERMISSION_DENIED, BAD_PAGE, BAD_COPY_ARG, ADDRESS_TOO_BIG, EAGAIN,
        NO_SPACE,
    });
    compare_family!(rows, flags Gntmap = Lower "GNTMAP_" {
        DEVICE_MAP, HOST_MAP, READONLY, APPLICATION_MAP, CONTAINS_PTE, GUEST_AVAIL_MASK,
    });
    compare_family!(rows, flags Gntcopy = Lower "GNTCOPY_" { SOURCE_GREF, DEST_GREF });
    compare_struct!(rows, GnttabMapGrantRef = "struct gnttab_map_grant_ref" {
        host_addr, flags, ref_ = "ref", dom, status, handle, dev_bus_addr,
    });
    compare_struct!(rows, GnttabUnmapGrantRef = "struct gnttab_unmap_grant_ref" {
        host_addr, dev_bus_addr, handle, status,
    });
    compare_struct!(rows, GnttabSetupTable = "struct gnttab_setup_table" {
        dom, nr_frames, status, frame_list,
    });
    compare_struct!(rows, GnttabQuerySize = "struct gnttab_query_size" {
        dom, nr_frames, max_nr_frames, status,
    });
    compare_struct!(rows, GnttabCopyPtr = "struct gnttab_copy_ptr" { u, domid, offset });
    compare_struct!(rows, GnttabCopy = "struct gnttab_copy" { source, dest, len, flags, status });
    compare_struct!(rows, GnttabSetVersion = "struct gnttab_set_version" { version });
    compare_struct!(rows, GnttabGetVersion = "struct gnttab_get_version" { dom, version });
}

fn event_channel(rows: &mut Vec<Row>) {
    compare_constants!(rows, { EVTCHN_2L_NR_CHANNELS });
    compare_family!(rows, number EvtchnOp = Lower "EVTCHNOP_" {
        BIND_INTERDOMAIN, BIND_VIRQ, BIND_PIRQ, CLOSE, SEND, STATUS, ALLOC_UNBOUND, BIND_IPI,
        BIND_VCPU, UNMASK, RESET, INIT_CONTROL, EXPAND_ARRAY, SET_PRIORITY,
    });
    compare_family!(rows, number EvtchnState = Lower "EVTCHNSTAT_" {
        CLOSED, UNBOUND, INTERDOMAIN, PIRQ, VIRQ, IPI,
    });
    compare_struct!(rows, EvtchnAllocUnbound = "struct evtchn_alloc_unbound" {
        dom, remote_dom, port,
    });
    compare_struct!(rows, EvtchnBindInterdomain = "struct evtchn_bind_interdomain" {
        remote_dom, remote_port, local_port,
    });
    compare_struct!(rows, EvtchnBindVirq = "struct evtchn_bind_virq" { virq, vcpu, port });
    compare_struct!(rows, EvtchnClose = "struct evtchn_close" { port });
    compare_struct!(rows, EvtchnSend = "struct evtchn_send" { port });
    compare_struct!(rows, EvtchnStatus = "struct evtchn_status" {
        dom, port, status, vcpu, u_dom = "u.interdomain.dom", u_port = "u.interdomain.port",
    });
    // The other members of the union: `u.unbound` and the two halves of `u.virq` and `u.pirq`.
    for (item, c, value) in [
        ("u_dom", "offsetof(struct evtchn_status, u.unbound.dom)", offset_of!(EvtchnStatus, u_dom)),
        ("u_dom", "offsetof(struct evtchn_status, u.virq)", offset_of!(EvtchnStatus, u_dom)),
        ("u_dom", "offsetof(struct evtchn_status, u.pirq)", offset_of!(EvtchnStatus, u_dom)),
        ("u_high", "offsetof(struct evtchn_status, u.virq) + 2", offset_of!(EvtchnStatus, u_high)),
        ("u_high", "sizeof(((struct evtchn_status *)0)->u.virq) - 2", size_of::<u16>()),
    ] {
        rows.push(Row { item: format!("EvtchnStatus.{item}"), c: c.into(), value: value as i64 });
    }
    compare_struct!(rows, EvtchnUnmask = "struct evtchn_unmask" { port });
    compare_struct!(rows, EvtchnReset = "struct evtchn_reset" { dom });
}

fn sched_and_vcpu(rows: &mut Vec<Row>) {
    compare_family!(rows, number SchedOp = Lower "SCHEDOP_" {
        YIELD, BLOCK, SHUTDOWN, POLL, REMOTE_SHUTDOWN, SHUTDOWN_CODE, WATCHDOG, PIN_OVERRIDE,
    });
    compare_family!(rows, number ShutdownReason = Lower "SHUTDOWN_" {
        POWEROFF, REBOOT, SUSPEND, CRASH, WATCHDOG, SOFT_RESET,
    });
    compare_struct!(rows, SchedShutdown = "struct sched_shutdown" { reason });
    compare_struct!(rows, SchedPoll = "struct sched_poll" { ports, nr_ports, timeout });
    compare_family!(rows, number VcpuOp = Lower "VCPUOP_" {
        INITIALISE, UP, DOWN, IS_UP, GET_RUNSTATE_INFO, REGISTER_RUNSTATE_MEMORY_AREA,
        SET_PERIODIC_TIMER, STOP_PERIODIC_TIMER, SET_SINGLESHOT_TIMER, STOP_SINGLESHOT_TIMER,
        REGISTER_VCPU_INFO, SEND_NMI, GET_PHYSID, REGISTER_VCPU_TIME_MEMORY_AREA,
    });
    compare_family!(rows, number Runstate = Lower "RUNSTATE_" {
        RUNNING, RUNNABLE, BLOCKED, OFFLINE,
    });
    compare_struct!(rows, VcpuRunstateInfo = "struct vcpu_runstate_info" {
        state, state_entry_time, time,
    });
    compare_family!(rows, flags VcpuSshottmr = Lower "VCPU_SSHOTTMR_" { FUTURE });
    compare_struct!(rows, VcpuSetSingleshotTimer = "struct vcpu_set_singleshot_timer" {
        timeout_abs_ns, flags,
    });
}

fn version_and_features(rows: &mut Vec<Row>) {
    compare_constants!(rows, {
        XEN_EXTRAVERSION_LEN, XEN_CAPABILITIES_INFO_LEN, XENFEAT_NR_SUBMAPS,
    });
    compare_family!(rows, number XenVersionOp = Lower "XENVER_" {
        VERSION, EXTRAVERSION, COMPILE_INFO, CAPABILITIES, CHANGESET, PLATFORM_PARAMETERS,
        GET_FEATURES, PAGESIZE, GUEST_HANDLE, COMMANDLINE, BUILD_ID,
    });
    compare_struct!(rows, XenFeatureInfo = "struct xen_feature_info" { submap_idx, submap });
    compare_family!(rows, number Xenfeat = Lower "XENFEAT_" {
        WRITABLE_PAGE_TABLES, WRITABLE_DESCRIPTOR_TABLES, AUTO_TRANSLATED_PHYSMAP,
        SUPERVISOR_MODE_KERNEL, PAE_PGDIR_ABOVE_4GB, MMU_PT_UPDATE_PRESERVE_AD, HIGHMEM_ASSIST,
        GNTTAB_MAP_AVAIL_BITS, HVM_CALLBACK_VECTOR, HVM_SAFE_PVCLOCK, HVM_PIRQS, DOM0,
        MEMORY_OP_VNODE_SUPPORTED, ARM_SMCCC_SUPPORTED = "XENFEAT_ARM_SMCCC_supported",
        LINUX_RSDP_UNRESTRICTED, NOT_DIRECT_MAPPED, DIRECT_MAPPED,
    });
}

fn callback(rows: &mut Vec<Row>) {
    compare_family!(rows, number CallbackOp = Lower "CALLBACKOP_" { REGISTER, UNREGISTER });
    compare_family!(rows, number CallbackType = Lower "CALLBACKTYPE_" {
        EVENT, FAILSAFE, SYSCALL, SYSENTER_DEPRECATED, NMI, SYSENTER, SYSCALL32,
    });
    compare_family!(rows, flags Callbackf = Lower "CALLBACKF_" { MASK_EVENTS });
    compare_struct!(rows, CallbackRegister = "struct callback_register" {
        type_ = "type", flags, address,
    });
}

fn elfnote(rows: &mut Vec<Row>) {
    compare_constants!(rows, {
        XEN_ELFNOTE_INFO, XEN_ELFNOTE_ENTRY, XEN_ELFNOTE_HYPERCALL_PAGE, XEN_ELFNOTE_VIRT_BASE,
        XEN_ELFNOTE_PADDR_OFFSET, XEN_ELFNOTE_XEN_VERSION, XEN_ELFNOTE_GUEST_OS,
        XEN_ELFNOTE_GUEST_VERSION, XEN_ELFNOTE_LOADER, XEN_ELFNOTE_PAE_MODE, XEN_ELFNOTE_FEATURES,
        XEN_ELFNOTE_BSD_SYMTAB, XEN_ELFNOTE_HV_START_LOW, XEN_ELFNOTE_L1_MFN_VALID,
        XEN_ELFNOTE_SUSPEND_CANCEL, XEN_ELFNOTE_INIT_P2M, XEN_ELFNOTE_MOD_START_PFN,
        XEN_ELFNOTE_SUPPORTED_FEATURES, XEN_ELFNOTE_PHYS32_ENTRY,
    });
}

fn errno(rows: &mut Vec<Row>) {
    compare_family!(rows, number Errno = Upper "XEN_" {
        EPERM, ENOENT, ESRCH, EINTR, EIO, ENXIO, E2BIG, ENOEXEC, EBADF, ECHILD, EAGAIN, ENOMEM,
        EACCES, EFAULT, EBUSY, EEXIST, EXDEV, ENODEV, ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE,
        ENOSPC, EROFS, EMLINK, EDOM, ERANGE, EDEADLK, ENAMETOOLONG, ENOLCK, ENOSYS, ENOTEMPTY,
        ENODATA, ETIME, EBADMSG, EOVERFLOW, EILSEQ, ERESTART, ENOTSOCK, EMSGSIZE, EOPNOTSUPP,
        EADDRINUSE, EADDRNOTAVAIL, ENOBUFS, EISCONN, ENOTCONN, ETIMEDOUT, ECONNREFUSED,
    });
}

fn console(rows: &mut Vec<Row>) {
    compare_struct!(rows, XenconsInterface = "struct xencons_interface" {
        input = "in", output = "out", in_cons, in_prod, out_cons, out_prod,
    });
}

fn libxenvchan(rows: &mut Vec<Row>) {
    compare_constants!(rows, { VCHAN_NOTIFY_WRITE, VCHAN_NOTIFY_READ });
    compare_struct!(rows, RingShared = "struct ring_shared" { cons, prod });
    compare_struct!(rows, VchanInterface = "struct vchan_interface" {
        left, right, left_order, right_order, cli_live, srv_live, cli_notify, srv_notify,
    });
}

fn xs_wire(rows: &mut Vec<Row>) {
    compare_constants!(rows, {
        XENSTORE_RING_SIZE, XENSTORE_PAYLOAD_MAX, XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX,
        XENSTORE_SERVER_FEATURE_RECONNECTION, XENSTORE_SERVER_FEATURE_ERROR, XENSTORE_CONNECTED,
        XENSTORE_RECONNECT, XENSTORE_ERROR_NONE, XENSTORE_ERROR_COMM, XENSTORE_ERROR_RINGIDX,
        XENSTORE_ERROR_PROTO, XS_WATCH_PATH, XS_WATCH_TOKEN,
    });
    compare_family!(rows, number XsMessageType = Upper "XS_" {
        CONTROL, DIRECTORY, READ, GET_PERMS, WATCH, UNWATCH, TRANSACTION_START, TRANSACTION_END,
        INTRODUCE, RELEASE, GET_DOMAIN_PATH, WRITE, MKDIR, RM, SET_PERMS, WATCH_EVENT, ERROR,
        IS_DOMAIN_INTRODUCED, RESUME, SET_TARGET, RESET_WATCHES, DIRECTORY_PART, INVALID,
    });
    compare_struct!(rows, XsdSockmsg = "struct xsd_sockmsg" { type_ = "type", req_id, tx_id, len });
    compare_struct!(rows, XenstoreDomainInterface = "struct xenstore_domain_interface" {
        req, rsp, req_cons, req_prod, rsp_cons, rsp_prod, server_features, connection, error,
    });
    let count = XSD_ERRORS.len() as i64;
    rows.push(Row { item: "XSD_ERRORS".into(), c: "COUNT(xsd_errors)".into(), value: count });
    for (errno, name) in XSD_ERRORS {
        let (c, value) = (format!("xsd_error(\"{name}\")"), i64::from(errno.0));
        rows.push(Row { item: "XSD_ERRORS".into(), c, value });
    }
}

fn memory(rows: &mut Vec<Row>) {
    compare_family!(rows, number MemoryOp = Lower "XENMEM_" {
        DECREASE_RESERVATION, CURRENT_RESERVATION, POPULATE_PHYSMAP, ADD_TO_PHYSMAP,
    });
    compare_family!(rows, number Mapspace = Lower "XENMAPSPACE_" { SHARED_INFO, GRANT_TABLE });
    compare_struct!(rows, XenAddToPhysmap = "struct xen_add_to_physmap" {
        domid, size, space, idx, gpfn,
    });
    compare_struct!(rows, XenMemoryReservation = "struct xen_memory_reservation" {
        extent_start, nr_extents, extent_order, mem_flags, domid,
    });
}

fn hvm(rows: &mut Vec<Row>) {
    compare_constants!(rows, { XEN_HVM_START_MAGIC_VALUE, HVM_PARAM_CALLBACK_TYPE_VECTOR });
    compare_family!(rows, number HvmOp = Lower "HVMOP_" { SET_PARAM, GET_PARAM });
    compare_struct!(rows, XenHvmParam = "struct xen_hvm_param" { domid, index, value });
    compare_family!(rows, number HvmParam = Upper "HVM_PARAM_" {
        CALLBACK_IRQ, STORE_PFN, STORE_EVTCHN, CONSOLE_PFN, CONSOLE_EVTCHN,
    });
    compare_family!(rows, number MemmapType = Upper "XEN_HVM_MEMMAP_TYPE_" {
        RAM, RESERVED, ACPI, NVS, UNUSABLE, DISABLED, PMEM,
    });
    compare_struct!(rows, HvmStartInfo = "struct hvm_start_info" {
        magic, version, flags, nr_modules, modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr,
        memmap_entries, reserved,
    });
    compare_struct!(rows, HvmModlistEntry = "struct hvm_modlist_entry" {
        paddr, size, cmdline_paddr, reserved,
    });
    compare_struct!(rows, HvmMemmapTableEntry = "struct hvm_memmap_table_entry" {
        addr, size, type_ = "type", reserved,
    });
}
