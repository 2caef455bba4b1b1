// SPDX-License-Identifier: MIT OR Apache-2.0
//! `version.h`: which Xen this is and what it can do.

/// Length in bytes of the answer to [`XenVersionOp::EXTRAVERSION`], a C string.
pub const XEN_EXTRAVERSION_LEN: usize = 16;
/// Length in bytes of the answer to [`XenVersionOp::CAPABILITIES`], a C string.
pub const XEN_CAPABILITIES_INFO_LEN: usize = 1024;

c_enum! {
    /// `XENVER_*`: first argument of `xen_version`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct XenVersionOp(u32) {
        /// No argument. The result is `major << 16 | minor`. Events may be delivered on the way
        /// out, which makes this the cheapest way to take pending upcalls.
        VERSION = 0,
        /// Takes a byte array of [`XEN_EXTRAVERSION_LEN`].
        EXTRAVERSION = 1,
        /// How Xen was compiled. Not used.
        COMPILE_INFO = 2,
        /// Takes a byte array of [`XEN_CAPABILITIES_INFO_LEN`].
        CAPABILITIES = 3,
        /// Xen's commit. Not used.
        CHANGESET = 4,
        /// The start of Xen's part of the address space. Not used.
        PLATFORM_PARAMETERS = 5,
        /// Takes a [`XenFeatureInfo`].
        GET_FEATURES = 6,
        /// No argument. The result is the page size in bytes.
        PAGESIZE = 7,
        /// Takes a byte array of 16: the domain's UUID.
        GUEST_HANDLE = 8,
        /// Xen's command line; privileged.
        COMMANDLINE = 9,
        /// Xen's build id. Not used.
        BUILD_ID = 10,
    }
}

/// Queries 32 feature bits.
#[doc(alias = "xen_feature_info")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XenFeatureInfo {
    /// In: which 32 bits, below [`crate::features::XENFEAT_NR_SUBMAPS`].
    pub submap_idx: u32,
    /// Out: bit *n* is the feature [`crate::features::Xenfeat`] of number `32 * submap_idx + n`.
    pub submap: u32,
}
layout!(XenFeatureInfo: 8 { submap_idx: 0, submap: 4 });
