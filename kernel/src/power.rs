//! The end of the domain: powered off, rebooted or crashed, with the console drained first.

use core::sync::atomic::{AtomicBool, Ordering};

use spin::Once;
use xen_sys::sched::ShutdownReason;

use crate::{console, hypercall};

/// Run before the domain ends by a crash, the last one first.
static LAST_WORDS: [Once<fn()>; 2] = [Once::new(), Once::new()];

/// Registers what is to be done when the guest crashes, after the dump, once, without heap or executor. There is
/// room for two: the kernel's own, by which peers learn of it, and one of the application's. Others are ignored.
pub fn on_crash(hook: fn()) {
    if let Some(free) = LAST_WORDS.iter().find(|words| !words.is_completed()) {
        free.call_once(|| hook);
    }
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
    static CRASHING: AtomicBool = AtomicBool::new(false);
    // A fault in a hook comes here again and skips them.
    if !CRASHING.swap(true, Ordering::Relaxed) {
        LAST_WORDS.iter().rev().filter_map(Once::get).for_each(|hook| hook());
    }
    shutdown(ShutdownReason::CRASH)
}

/// Ends the domain for `reason`.
pub fn shutdown(reason: ShutdownReason) -> ! {
    console::drain();
    hypercall::sched_shutdown(reason)
}
