// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of the domain: powered off, rebooted or crashed, with the console drained first.
//!
//! On the host each of these panics, and says which end it was.

use spin::Mutex;
use xen_sys::sched::ShutdownReason;

use crate::machine::power::shutdown;

/// What is run before the domain ends by a crash: the application's hook and then the kernel's.
static APPLICATION: Mutex<Option<fn()>> = Mutex::new(None);
static KERNEL: Mutex<Option<fn()>> = Mutex::new(None);

/// Sets what is to be done when the guest crashes: after the dump, once, without executor, in the
/// middle of whatever crashed. A hook that was set before is replaced.
///
/// The hook must not wait: a lock that the crashed code holds is never released.
pub fn on_crash(hook: fn()) {
    *APPLICATION.lock() = Some(hook);
}

/// The same for the kernel's own hook, which no application can replace.
#[cfg(target_os = "none")]
pub(crate) fn on_crash_of_any_guest(hook: fn()) {
    *KERNEL.lock() = Some(hook);
}

/// Ends the domain; the toolstack does what `on_poweroff` says.
pub fn poweroff() -> ! {
    shutdown(ShutdownReason::POWEROFF)
}

/// Ends the domain; the toolstack does what `on_reboot` says.
pub fn reboot() -> ! {
    shutdown(ShutdownReason::REBOOT)
}

/// Ends the domain as crashed, after the hooks; the toolstack does what `on_crash` says.
pub fn crash() -> ! {
    for last_words in [&APPLICATION, &KERNEL] {
        // Taken out before it runs: a fault in a hook comes here again and goes on with the next.
        let hook = last_words.try_lock().and_then(|mut hook| hook.take());
        if let Some(hook) = hook {
            hook();
        }
    }
    shutdown(ShutdownReason::CRASH)
}
