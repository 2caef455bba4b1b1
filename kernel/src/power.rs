//! The end of the domain: powered off, rebooted or crashed, with the console drained first.

use core::sync::atomic::{AtomicBool, Ordering};

use spin::Once;
use xen_sys::sched::ShutdownReason;

use crate::{console, hypercall};

/// Runs before the domain ends by a crash.
static LAST_WORDS: Once<fn()> = Once::new();

/// Registers what peers must still learn from us when the guest crashes: live bytes cleared,
/// events sent. It runs once, after the dump, without heap or executor; the first one registered
/// stays.
pub fn on_crash(hook: fn()) {
    LAST_WORDS.call_once(|| hook);
}

/// Ends the domain; the toolstack does what `on_poweroff` says.
pub fn poweroff() -> ! {
    shutdown(ShutdownReason::POWEROFF)
}

/// Ends the domain; the toolstack does what `on_reboot` says.
pub fn reboot() -> ! {
    shutdown(ShutdownReason::REBOOT)
}

/// Ends the domain as crashed, after the hook; the toolstack does what `on_crash` says.
pub fn crash() -> ! {
    static CRASHING: AtomicBool = AtomicBool::new(false);
    // A fault in the hook comes here again and skips it.
    if !CRASHING.swap(true, Ordering::Relaxed)
        && let Some(hook) = LAST_WORDS.get()
    {
        hook();
    }
    shutdown(ShutdownReason::CRASH)
}

/// Ends the domain for `reason`.
pub fn shutdown(reason: ShutdownReason) -> ! {
    console::drain();
    hypercall::sched_shutdown(reason)
}
