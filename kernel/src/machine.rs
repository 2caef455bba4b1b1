//! What the shell of `tasks` needs of this kernel.

use log::LevelFilter;
use tasks::{CrashKind, HeapUsage, Machine};

use crate::crash::crash;
use crate::memory::stack;
use crate::{Guest, clock, heap, power};

impl Machine for Guest {
    fn heap(&self) -> HeapUsage {
        let (used, free) = heap::usage();
        HeapUsage { used: used as u64, free: free as u64 }
    }

    fn stack(&self) -> u64 {
        stack::high_water() as u64
    }

    fn cpu(&self) -> u64 {
        clock::cpu()
    }

    fn set_log_level(&self, level: LevelFilter) {
        log::set_max_level(level);
    }

    fn poweroff(&self) {
        power::poweroff()
    }

    fn reboot(&self) {
        power::reboot()
    }

    fn crash(&self, kind: CrashKind) {
        crash(kind)
    }
}
