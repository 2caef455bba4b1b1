// SPDX-License-Identifier: MIT OR Apache-2.0
//! `hvm/params.h`: parameters of a guest in a hardware container.

c_enum! {
    /// `HVM_PARAM_*`: which parameter.
    #[derive(PartialOrd, Ord, Default)]
    pub struct HvmParam(u32) {
        /// How an event reaches the guest: a type in bits 56 to 63, and what it needs below.
        CALLBACK_IRQ = 0,
        /// The guest frame of xenstore's ring.
        STORE_PFN = 1,
        /// The port of xenstore.
        STORE_EVTCHN = 2,
        /// The guest frame of the console's ring.
        CONSOLE_PFN = 17,
        /// The port of the console.
        CONSOLE_EVTCHN = 18,
    }
}

/// Type of [`HvmParam::CALLBACK_IRQ`]: an interrupt of the vector in bits 0 to 7, on any VCPU.
pub const HVM_PARAM_CALLBACK_TYPE_VECTOR: u64 = 2;
