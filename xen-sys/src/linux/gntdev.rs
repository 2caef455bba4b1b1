// SPDX-License-Identifier: MIT OR Apache-2.0
//! `xen/gntdev.h`: commands of `/dev/xen/gntdev`, the device that maps grants.
//!
//! An index is a byte offset in a file's own index space, 4096 per grant. `mmap` takes it as its
//! offset. The dma-buf commands have no structs here: nobody in this workspace implements them.

use super::ioc;
use crate::grant_table::{Gntcopy, GrantStatus};
use bitflags::bitflags;

/// Reserves indices for grants. Takes an [`IoctlGntdevMapGrantRef`]. Maps nothing: `mmap` does.
pub const IOCTL_GNTDEV_MAP_GRANT_REF: u32 = ioc(b'G', 0, size_of::<IoctlGntdevMapGrantRef>());
/// Gives indices back. Takes an [`IoctlGntdevUnmapGrantRef`]. Unmaps nothing: `munmap` does.
pub const IOCTL_GNTDEV_UNMAP_GRANT_REF: u32 = ioc(b'G', 1, size_of::<IoctlGntdevUnmapGrantRef>());
/// Returns a mapping's index. Takes an [`IoctlGntdevGetOffsetForVaddr`].
pub const IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR: u32 =
    ioc(b'G', 2, size_of::<IoctlGntdevGetOffsetForVaddr>());
/// Limits a file's grants. Takes an [`IoctlGntdevSetMaxGrants`]. Linux no longer has it.
pub const IOCTL_GNTDEV_SET_MAX_GRANTS: u32 = ioc(b'G', 3, size_of::<IoctlGntdevSetMaxGrants>());
/// Sets what happens when a page is unmapped. Takes an [`IoctlGntdevUnmapNotify`].
pub const IOCTL_GNTDEV_SET_UNMAP_NOTIFY: u32 = ioc(b'G', 7, size_of::<IoctlGntdevUnmapNotify>());
/// Copies from and to granted pages. Takes an [`IoctlGntdevGrantCopy`].
pub const IOCTL_GNTDEV_GRANT_COPY: u32 = ioc(b'G', 8, size_of::<IoctlGntdevGrantCopy>());
/// Makes a dma-buf of grants. Takes 20 bytes for one grant.
pub const IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS: u32 = ioc(b'G', 9, 20);
/// Waits for the end of such a dma-buf. Takes 8 bytes.
pub const IOCTL_GNTDEV_DMABUF_EXP_WAIT_RELEASED: u32 = ioc(b'G', 10, 8);
/// Grants the pages of a dma-buf. Takes 20 bytes for one page.
pub const IOCTL_GNTDEV_DMABUF_IMP_TO_REFS: u32 = ioc(b'G', 11, 20);
/// Ends those grants. Takes 8 bytes.
pub const IOCTL_GNTDEV_DMABUF_IMP_RELEASE: u32 = ioc(b'G', 12, 8);

bitflags! {
    /// `UNMAP_NOTIFY_*`: what to do when a page is unmapped, or released by its owner.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct UnmapNotifyAction: u32 {
        /// Clear the byte at the index.
        const CLEAR_BYTE = 1 << 0;
        /// Send an event through the port.
        const SEND_EVENT = 1 << 1;
        const _ = !0;
    }
}

/// One grant to map.
#[doc(alias = "ioctl_gntdev_grant_ref")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlGntdevGrantRef {
    /// In: the granter's domid.
    pub domid: u32,
    /// In: reference in the granter's table. The C header's `ref`.
    #[doc(alias = "ref")]
    pub ref_: u32,
}
layout!(IoctlGntdevGrantRef: 8 { domid: 0, ref_: 4 });

/// Argument of [`IOCTL_GNTDEV_MAP_GRANT_REF`]. Its length depends on `count`: the struct ends with
/// the first grant, and the others follow it.
#[doc(alias = "ioctl_gntdev_map_grant_ref")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlGntdevMapGrantRef {
    /// In: the number of grants; 0 is an error.
    pub count: u32,
    /// Not read.
    pub pad: u32,
    /// Out: the first grant's index. The others are consecutive.
    pub index: u64,
    /// In: `count` grants.
    pub refs: [IoctlGntdevGrantRef; 1],
}
layout!(IoctlGntdevMapGrantRef: 24 { count: 0, pad: 4, index: 8, refs: 16 });

/// Argument of [`IOCTL_GNTDEV_UNMAP_GRANT_REF`].
#[doc(alias = "ioctl_gntdev_unmap_grant_ref")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlGntdevUnmapGrantRef {
    /// In: the first index, as returned by [`IOCTL_GNTDEV_MAP_GRANT_REF`].
    pub index: u64,
    /// In: the number of grants, as reserved with it.
    pub count: u32,
    /// Not read.
    pub pad: u32,
}
layout!(IoctlGntdevUnmapGrantRef: 16 { index: 0, count: 8, pad: 12 });

/// Argument of [`IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR`].
#[doc(alias = "ioctl_gntdev_get_offset_for_vaddr")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlGntdevGetOffsetForVaddr {
    /// In: the address where a mapping starts.
    pub vaddr: u64,
    /// Out: the index that it was mapped at.
    pub offset: u64,
    /// Out: the number of grants reserved together with that index.
    pub count: u32,
    /// Not read.
    pub pad: u32,
}
layout!(IoctlGntdevGetOffsetForVaddr: 24 { vaddr: 0, offset: 8, count: 16, pad: 20 });

/// Argument of [`IOCTL_GNTDEV_SET_MAX_GRANTS`].
#[doc(alias = "ioctl_gntdev_set_max_grants")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlGntdevSetMaxGrants {
    /// In: the maximum number of grants.
    pub count: u32,
}
layout!(IoctlGntdevSetMaxGrants: 4 { count: 0 });

/// Argument of [`IOCTL_GNTDEV_SET_UNMAP_NOTIFY`].
#[doc(alias = "ioctl_gntdev_unmap_notify")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlGntdevUnmapNotify {
    /// In: the index of any byte of the page, or of the byte to clear.
    pub index: u64,
    /// In: what to do. No bits cancel the notification.
    pub action: UnmapNotifyAction,
    /// In: the local port to send the event through. Not read if no event is to be sent.
    pub event_channel_port: u32,
}
layout!(IoctlGntdevUnmapNotify: 16 { index: 0, action: 8, event_channel_port: 12 });

/// The granted side of a [`GntdevGrantCopySegment`]: the C header's `source.foreign`.
#[doc(alias = "foreign")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GntdevGrantCopyForeign {
    /// In: reference in the granter's table. The C header's `ref`.
    #[doc(alias = "ref")]
    pub ref_: u32,
    /// In: bytes from the start of the page.
    pub offset: u16,
    /// In: the granter's domid.
    pub domid: u16,
}
layout!(GntdevGrantCopyForeign: 8 { ref_: 0, offset: 4, domid: 6 });

/// One copy.
///
/// `source` and `dest` are the C header's unions: each is an address, or the bytes of a
/// [`GntdevGrantCopyForeign`] where `flags` says so. At least one must be a grant.
#[doc(alias = "gntdev_grant_copy_segment")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GntdevGrantCopySegment {
    /// In: the source.
    pub source: u64,
    /// In: the destination.
    pub dest: u64,
    /// In: length in bytes. A granted side may not cross the end of its page; an address may.
    pub len: u16,
    /// In: which sides are grants.
    pub flags: Gntcopy,
    /// Out, only if the command succeeds: the status.
    pub status: GrantStatus,
    /// Not read.
    pub _pad: u16,
}
layout!(GntdevGrantCopySegment: 24 {
    source: 0, dest: 8, len: 16, flags: 18, status: 20, _pad: 22,
});

/// Argument of [`IOCTL_GNTDEV_GRANT_COPY`].
#[doc(alias = "ioctl_gntdev_grant_copy")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlGntdevGrantCopy {
    /// In: the number of segments.
    pub count: u32,
    /// Not read.
    pub _pad: u32,
    /// In: address of `count` [`GntdevGrantCopySegment`].
    pub segments: u64,
}
layout!(IoctlGntdevGrantCopy: 16 { count: 0, _pad: 4, segments: 8 });
