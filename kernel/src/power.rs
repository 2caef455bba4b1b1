// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ending the domain: power off, reboot or crash, after draining the console.
//!
//! On the host each of these panics with a message saying which it was.

use spin::Mutex;
use xen_sys::sched::ShutdownReason;

use crate::machine::power::shutdown;

/// Hooks that run before the domain ends by a crash: the application's, then the kernel's.
static APPLICATION: Mutex<Option<fn()>> = Mutex::new(None);
static KERNEL: Mutex<Option<fn()>> = Mutex::new(None);

/// Sets a hook that runs once when the guest crashes: after the dump, without an executor, in the
/// context of whatever crashed. It replaces an earlier hook.
///
/// The hook must not wait: a lock that the crashed code holds is never released.
pub fn on_crash(hook: fn()) {
    *APPLICATION.lock() = Some(hook);
}

/// Sets the kernel's own hook, which no application can replace.
#[cfg(target_os = "none")]
pub(crate) fn on_crash_of_any_guest(hook: fn()) {
    *KERNEL.lock() = Some(hook);
}

/// Ends the domain; the toolstack then acts on `on_poweroff`.
pub fn poweroff() -> ! {
    shutdown(ShutdownReason::POWEROFF)
}

/// Ends the domain; the toolstack then acts on `on_reboot`.
pub fn reboot() -> ! {
    shutdown(ShutdownReason::REBOOT)
}

/// Ends the domain as crashed, after the hooks; the toolstack then acts on `on_crash`.
pub fn crash() -> ! {
    for last_words in [&APPLICATION, &KERNEL] {
        // Removed before it runs: a fault in a hook comes back here and continues with the next
        // one.
        let hook = last_words.try_lock().and_then(|mut hook| hook.take());
        if let Some(hook) = hook {
            hook();
        }
    }
    shutdown(ShutdownReason::CRASH)
}
