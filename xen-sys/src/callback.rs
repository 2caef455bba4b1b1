// SPDX-License-Identifier: MIT OR Apache-2.0
//! `callback.h`: where Xen enters the guest, other than for exceptions.

use bitflags::bitflags;

c_enum! {
    /// `CALLBACKOP_*`: first argument of `callback_op`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct CallbackOp(u32) {
        /// Takes a [`CallbackRegister`].
        REGISTER = 0,
        /// Unregisters a callback. Not used.
        UNREGISTER = 1,
    }
}

c_enum! {
    /// `CALLBACKTYPE_*`: when Xen enters the guest.
    #[derive(PartialOrd, Ord, Default)]
    pub struct CallbackType(u16) {
        /// An event channel is pending and the upcall isn't masked.
        EVENT = 0,
        /// Loading a segment register or returning by `iret` failed.
        FAILSAFE = 1,
        /// `syscall` of a 64-bit process.
        SYSCALL = 2,
        /// A former number of `SYSENTER`.
        SYSENTER_DEPRECATED = 3,
        /// A non-maskable interrupt.
        NMI = 4,
        /// `sysenter`.
        SYSENTER = 5,
        /// `syscall` of a 32-bit process.
        SYSCALL32 = 7,
    }
}

bitflags! {
    /// `CALLBACKF_*`: how Xen enters.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Callbackf: u16 {
        /// Mask the upcall on entry. For [`CallbackType::EVENT`] Xen always does.
        const MASK_EVENTS = 1 << 0;
        const _ = !0;
    }
}

/// Registers an entry point.
#[doc(alias = "callback_register")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallbackRegister {
    /// In: when to enter. The C header's `type`.
    #[doc(alias = "type")]
    pub type_: CallbackType,
    /// In: how to enter.
    pub flags: Callbackf,
    /// Zero.
    pub _pad: u32,
    /// In: virtual address of the code.
    pub address: u64,
}
layout!(CallbackRegister: 16 { type_: 0, flags: 2, _pad: 4, address: 8 });
