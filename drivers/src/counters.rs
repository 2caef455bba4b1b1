//! Exact counts of what the guest did: the figures behind every claim about performance.
//!
//! Relaxed atomics, so that counting costs one instruction and needs no lock. A count is a
//! number of calls or bytes since boot; it is never reset, users subtract.

use core::sync::atomic::{AtomicU64, Ordering};

macro_rules! calls {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// A hypercall, or one sub-operation of a hypercall that has several.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Call {
            $(#[doc = concat!("`", $name, "`.")] $(#[doc = $doc])* $variant,)*
        }

        impl Call {
            /// Every call that is counted, in the order of [`Counters`].
            pub const ALL: &'static [Call] = &[$(Call::$variant,)*];

            /// The name in Xen's headers.
            pub fn name(self) -> &'static str {
                match self { $(Call::$variant => $name,)* }
            }
        }
    };
}

calls! {
    SetTrapTable = "set_trap_table",
    MmuUpdate = "mmu_update",
    SetGdt = "set_gdt",
    StackSwitch = "stack_switch",
    SetCallbacks = "set_callbacks",
    MemoryOp = "memory_op",
    UpdateVaMapping = "update_va_mapping",
    SetTimerOp = "set_timer_op",
    XenVersion = "xen_version",
    ConsoleWrite = "console_io.write",
    ConsoleRead = "console_io.read",
    GnttabMap = "grant_table_op.map_grant_ref",
    GnttabUnmap = "grant_table_op.unmap_grant_ref",
    GnttabCopy = "grant_table_op.copy",
    GnttabSetupTable = "grant_table_op.setup_table",
    GnttabQuerySize = "grant_table_op.query_size",
    GnttabGetVersion = "grant_table_op.get_version",
    VmAssist = "vm_assist",
    Vcpu = "vcpu_op",
    MmuextOp = "mmuext_op",
    SchedYield = "sched_op.yield",
    SchedBlock = "sched_op.block",
    SchedShutdown = "sched_op.shutdown",
    CallbackOp = "callback_op",
    EvtchnAllocUnbound = "event_channel_op.alloc_unbound",
    EvtchnBindInterdomain = "event_channel_op.bind_interdomain",
    EvtchnBindVirq = "event_channel_op.bind_virq",
    EvtchnClose = "event_channel_op.close",
    EvtchnSend = "event_channel_op.send",
    EvtchnStatus = "event_channel_op.status",
}

/// The counts of one guest.
#[derive(Debug)]
pub struct Counters {
    calls: [AtomicU64; Call::ALL.len()],
    /// Events taken from the pending words.
    pub events_in: AtomicU64,
    /// Bytes zeroed because a page was released or was not known to be clean.
    pub zeroed: AtomicU64,
    /// Bytes copied to and from shared pages.
    pub copied: AtomicU64,
    /// Heap allocations.
    pub allocations: AtomicU64,
}

impl Counters {
    /// All zero.
    pub const fn new() -> Self {
        Self {
            calls: [const { AtomicU64::new(0) }; Call::ALL.len()],
            events_in: AtomicU64::new(0),
            zeroed: AtomicU64::new(0),
            copied: AtomicU64::new(0),
            allocations: AtomicU64::new(0),
        }
    }

    /// Counts one hypercall.
    pub fn count(&self, call: Call) {
        self.calls[call as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often `call` was made.
    pub fn calls(&self, call: Call) -> u64 {
        self.calls[call as usize].load(Ordering::Relaxed)
    }

    /// All hypercalls together.
    pub fn hypercalls(&self) -> u64 {
        self.calls.iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }

    /// Adds `n` to one of the public counts.
    pub fn add(count: &AtomicU64, n: u64) {
        count.fetch_add(n, Ordering::Relaxed);
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}
