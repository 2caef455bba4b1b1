// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exceptions and events: registers Xen's entry points into the guest.
//!
//! The event callback does nothing: the idle loop polls for events (`metal/executor.rs`).
#![expect(unsafe_code, reason = "handlers are registered by address")]

mod stubs;

use drivers::Errno;
use xen_sys::callback::{CallbackRegister, CallbackType, Callbackf};
use xen_sys::xen_x86_64::{FLAT_KERNEL_CS, TrapInfo};

use super::hypercall;

/// Registers the handlers with Xen.
///
/// # Errors
/// Xen's; it documents none for these.
pub fn init() -> Result<(), Errno> {
    /// Mask event upcalls on entry.
    const MASK_EVENTS: u8 = 4;
    let mut table = [TrapInfo::default(); stubs::STUBS.len() + 1];
    for (entry, &(vector, stub)) in table.iter_mut().zip(stubs::STUBS) {
        let address = stub as usize as u64;
        *entry = TrapInfo { vector, flags: MASK_EVENTS, cs: FLAT_KERNEL_CS, address, ..*entry };
    }
    // SAFETY: the stubs take the frame that Xen pushes for their vector.
    unsafe { hypercall::set_trap_table(&mut table) }?;
    let callbacks = [
        (CallbackType::EVENT, stubs::event_upcall as *const () as usize),
        (CallbackType::FAILSAFE, stubs::failsafe_callback as *const () as usize),
    ];
    for (type_, address) in callbacks {
        let flags = Callbackf::MASK_EVENTS;
        let callback = CallbackRegister { type_, flags, _pad: 0, address: address as u64 };
        // SAFETY: the stubs take the frame that Xen pushes for these callbacks.
        unsafe { hypercall::register_callback(callback) }?;
    }
    Ok(())
}

/// Xen could not load a segment register, or its own `iret` on our behalf failed.
extern "C" fn on_failsafe() -> ! {
    panic!("failsafe callback: Xen could not load a segment register of ours")
}
