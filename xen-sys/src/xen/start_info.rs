// SPDX-License-Identifier: MIT OR Apache-2.0
//! `xen.h`: the page that tells a guest what it has.

use bitflags::bitflags;

/// The size of [`StartInfo::cmd_line`] in bytes, including the final NUL.
pub const MAX_GUEST_CMDLINE: usize = 1024;

bitflags! {
    /// `SIF_*`: what kind of domain this is.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Sif: u32 {
        /// The domain is privileged.
        const PRIVILEGED = 1 << 0;
        /// This is the initial domain.
        const INITDOMAIN = 1 << 1;
        /// The module is a list of modules.
        const MULTIBOOT_MOD = 1 << 2;
        /// [`StartInfo::mod_start`] is a frame number.
        const MOD_START_PFN = 1 << 3;
        /// The toolstack can read the list of frames by its virtual address.
        const VIRT_P2M_4TOOLS = 1 << 4;
        const _ = !0;
    }
}

impl Sif {
    /// The bits that hold power management options.
    pub const PM_MASK: Self = Self::from_bits_retain(0xff << 8);
}

/// The page in `rsi` when a PV guest starts. Nobody writes it while the guest runs.
///
/// The console's two fields are the C header's `console.domU`; the initial domain has others there.
#[doc(alias = "start_info")]
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartInfo {
    /// `xen-3.0-x86_64`, padded with NULs.
    pub magic: [u8; 32],
    /// Pages of 4096 bytes that the domain has.
    pub nr_pages: u64,
    /// Machine *address* of [`super::SharedInfo`], not a frame number.
    pub shared_info: u64,
    /// What kind of domain this is.
    pub flags: Sif,
    /// Nothing.
    pub _pad0: u32,
    /// Machine frame number of the xenstore page.
    pub store_mfn: u64,
    /// The xenstore port.
    pub store_evtchn: u32,
    /// Nothing.
    pub _pad1: u32,
    /// Machine frame number of the console page.
    #[doc(alias = "console.domU.mfn")]
    pub console_mfn: u64,
    /// The console port.
    #[doc(alias = "console.domU.evtchn")]
    pub console_evtchn: u32,
    /// Nothing.
    pub _pad2: u32,
    /// Virtual address of the level 4 page table.
    pub pt_base: u64,
    /// The number of page-table pages.
    pub nr_pt_frames: u64,
    /// Virtual address of a `u64` array: the machine frame of each of the `nr_pages` guest frames.
    pub mfn_list: u64,
    /// Virtual address of the module, or its frame with [`Sif::MOD_START_PFN`]; 0 for none.
    pub mod_start: u64,
    /// The size of the module in bytes.
    pub mod_len: u64,
    /// The command line, NUL-terminated. The C header's bytes are signed.
    pub cmd_line: [u8; MAX_GUEST_CMDLINE],
    /// The first guest frame of `mfn_list`, if the builder mapped it outside the initial range.
    pub first_p2m_pfn: u64,
    /// The number of frames of `mfn_list`.
    pub nr_p2m_frames: u64,
}
layout!(StartInfo: 1168 {
    magic: 0, nr_pages: 32, shared_info: 40, flags: 48, _pad0: 52, store_mfn: 56, store_evtchn: 64,
    _pad1: 68, console_mfn: 72, console_evtchn: 80, _pad2: 84, pt_base: 88, nr_pt_frames: 96,
    mfn_list: 104, mod_start: 112, mod_len: 120, cmd_line: 128, first_p2m_pfn: 1152,
    nr_p2m_frames: 1160,
});

impl StartInfo {
    /// All zero.
    pub const fn new() -> Self {
        Self {
            magic: [0; 32],
            nr_pages: 0,
            shared_info: 0,
            flags: Sif::empty(),
            _pad0: 0,
            store_mfn: 0,
            store_evtchn: 0,
            _pad1: 0,
            console_mfn: 0,
            console_evtchn: 0,
            _pad2: 0,
            pt_base: 0,
            nr_pt_frames: 0,
            mfn_list: 0,
            mod_start: 0,
            mod_len: 0,
            cmd_line: [0; MAX_GUEST_CMDLINE],
            first_p2m_pfn: 0,
            nr_p2m_frames: 0,
        }
    }
}

impl Default for StartInfo {
    fn default() -> Self {
        Self::new()
    }
}
