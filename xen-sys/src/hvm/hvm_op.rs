// SPDX-License-Identifier: MIT OR Apache-2.0
//! `hvm/hvm_op.h`: operations on a guest in a hardware container.

use super::params::HvmParam;

c_enum! {
    /// `HVMOP_*`: first argument of `hvm_op`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct HvmOp(u32) {
        /// Takes a [`XenHvmParam`].
        SET_PARAM = 0,
        /// Takes a [`XenHvmParam`].
        GET_PARAM = 1,
    }
}

/// One parameter of a domain.
#[doc(alias = "xen_hvm_param")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XenHvmParam {
    /// In: the domain's domid.
    pub domid: u16,
    /// Zero.
    pub _pad: u16,
    /// In: which parameter.
    pub index: HvmParam,
    /// The value: in for a set, out for a get.
    pub value: u64,
}
layout!(XenHvmParam: 16 { domid: 0, _pad: 2, index: 4, value: 8 });
