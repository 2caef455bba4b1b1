// SPDX-License-Identifier: MIT OR Apache-2.0
//! `hvm/params.h`: parameters of a guest in a hardware container.

c_enum! {
    /// `HVM_PARAM_*`: which parameter.
    #[derive(PartialOrd, Ord, Default)]
    pub struct HvmParam(u32) {
        /// How events reach the guest: a type in bits 56 to 63, and its argument in the lower bits.
        CALLBACK_IRQ = 0,
        /// The guest frame of the xenstore ring.
        STORE_PFN = 1,
        /// The xenstore port.
        STORE_EVTCHN = 2,
        /// The guest frame of the console ring.
        CONSOLE_PFN = 17,
        /// The console port.
        CONSOLE_EVTCHN = 18,
    }
}

/// Type of [`HvmParam::CALLBACK_IRQ`]: an interrupt with the vector in bits 0 to 7, on any VCPU.
pub const HVM_PARAM_CALLBACK_TYPE_VECTOR: u64 = 2;
