//! Exceptions and events: where Xen enters the guest, and what happens then.
//!
//! An exception at an instruction that has a fix-up goes on there; any other is fatal: a dump,
//! the hook of `power::on_crash`, SHUTDOWN_crash. Events do nothing here: the idle loop looks for
//! them (`executor.rs`). Refuses: nested handling, user mode.
#![expect(unsafe_code, reason = "handlers are registered by address")]

mod dump;
mod fixup;
mod frame;
mod stubs;

use xen_sys::callback::{CallbackRegister, CallbackType, Callbackf};
use xen_sys::xen_x86_64::{FLAT_KERNEL_CS, TrapInfo};

use crate::{hypercall, panicking, power, println};
use frame::TrapFrame;

/// Tells Xen the handlers.
pub fn init() {
    /// Mask event upcalls on entry.
    const MASK_EVENTS: u8 = 4;
    let mut table = [TrapInfo::default(); stubs::STUBS.len() + 1];
    for (entry, &(vector, stub)) in table.iter_mut().zip(stubs::STUBS) {
        let address = stub as usize as u64;
        *entry = TrapInfo { vector, flags: MASK_EVENTS, cs: FLAT_KERNEL_CS, address, ..*entry };
    }
    // SAFETY: the stubs take the frame that Xen pushes for their vector.
    unsafe { hypercall::set_trap_table(&mut table) }.expect("Xen takes the trap table");
    let callbacks = [
        (CallbackType::EVENT, stubs::event_upcall as *const () as usize),
        (CallbackType::FAILSAFE, stubs::failsafe_callback as *const () as usize),
    ];
    for (type_, address) in callbacks {
        let flags = Callbackf::MASK_EVENTS;
        let callback = CallbackRegister { type_, flags, _pad: 0, address: address as u64 };
        // SAFETY: the stubs take the frame that Xen pushes for these callbacks.
        unsafe { hypercall::register_callback(callback) }.expect("Xen takes the callbacks");
    }
}

/// Every exception comes here, from its stub, and goes on at `frame.rip` when this returns.
extern "C" fn on_trap(frame: &mut TrapFrame) {
    if let Some(resume) = fixup::find(frame.rip) {
        frame.rip = resume;
        return;
    }
    if panicking::first_fatality() {
        dump::print(frame);
    } else {
        println!("TRAP {} at {:016x} while dying", frame.vector, frame.rip);
    }
    power::crash()
}

/// Xen could not load a segment register, or an `iret` of its own on our behalf failed.
extern "C" fn on_failsafe() -> ! {
    panic!("failsafe callback: Xen could not load a segment register of ours")
}
