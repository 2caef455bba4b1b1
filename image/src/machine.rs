// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the shell in `tasks` needs from the machine it runs on.

use grantkit::{Crash, Guest, power};
use log::LevelFilter;
use tasks::{CrashKind, HeapUsage, Machine};

/// The running guest.
#[derive(Clone, Debug)]
pub struct Metal(pub Guest);

impl Machine for Metal {
    fn mode(&self) -> &'static str {
        self.0.mode().name()
    }

    fn heap(&self) -> HeapUsage {
        let usage = self.0.memory_usage();
        HeapUsage { used: usage.heap as u64, free: usage.heap_free as u64 }
    }

    fn stack(&self) -> u64 {
        self.0.memory_usage().stack as u64
    }

    fn cpu(&self) -> u64 {
        self.0.cpu_time()
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
        grantkit::crash(match kind {
            CrashKind::Panic => Crash::Panic,
            CrashKind::Null => Crash::Null,
            CrashKind::Text => Crash::Text,
            CrashKind::Rodata => Crash::Rodata,
            CrashKind::Exec => Crash::Exec,
            CrashKind::Stack => Crash::Stack,
        })
    }
}
