// SPDX-License-Identifier: MIT OR Apache-2.0
//! `xen/gntalloc.h`: commands of `/dev/xen/gntalloc`, the device that makes grants.
//!
//! An index is a byte offset in a file's own index space, where each page has a multiple of 4096.
//! `mmap` takes it as its offset. The header's `UNMAP_NOTIFY_*` are
//! [`super::gntdev::UnmapNotifyAction`].

use super::gntdev::UnmapNotifyAction;
use super::ioc;
use bitflags::bitflags;

/// Allocates pages and grants them. Takes an [`IoctlGntallocAllocGref`].
pub const IOCTL_GNTALLOC_ALLOC_GREF: u32 = ioc(b'G', 5, size_of::<IoctlGntallocAllocGref>());
/// Releases pages. Takes an [`IoctlGntallocDeallocGref`].
pub const IOCTL_GNTALLOC_DEALLOC_GREF: u32 = ioc(b'G', 6, size_of::<IoctlGntallocDeallocGref>());
/// Sets what happens when a page is released. Takes an [`IoctlGntallocUnmapNotify`]. The same
/// number as gntdev's.
pub const IOCTL_GNTALLOC_SET_UNMAP_NOTIFY: u32 =
    ioc(b'G', 7, size_of::<IoctlGntallocUnmapNotify>());

bitflags! {
    /// `GNTALLOC_FLAG_*`: how pages are granted.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct GntallocFlag: u16 {
        /// The other domain may write, too.
        const WRITABLE = 1 << 0;
        const _ = !0;
    }
}

/// Argument of [`IOCTL_GNTALLOC_ALLOC_GREF`]. Its length depends on `count`: the struct ends with
/// the first gref, and the others follow it.
#[doc(alias = "ioctl_gntalloc_alloc_gref")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlGntallocAllocGref {
    /// In: the domid of the domain that may map the pages.
    pub domid: u16,
    /// In: how to grant them.
    pub flags: GntallocFlag,
    /// In: pages.
    pub count: u32,
    /// Out: the first page's index. The others are consecutive.
    pub index: u64,
    /// Out: `count` grefs.
    pub gref_ids: [u32; 1],
    /// Not read. The second gref, if there is one.
    pub _pad: u32,
}
layout!(IoctlGntallocAllocGref: 24 {
    domid: 0, flags: 2, count: 4, index: 8, gref_ids: 16, _pad: 20,
});

/// Argument of [`IOCTL_GNTALLOC_DEALLOC_GREF`].
#[doc(alias = "ioctl_gntalloc_dealloc_gref")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlGntallocDeallocGref {
    /// In: the first page's index.
    pub index: u64,
    /// In: pages.
    pub count: u32,
    /// Not read.
    pub _pad: u32,
}
layout!(IoctlGntallocDeallocGref: 16 { index: 0, count: 8, _pad: 12 });

/// Argument of [`IOCTL_GNTALLOC_SET_UNMAP_NOTIFY`].
#[doc(alias = "ioctl_gntalloc_unmap_notify")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlGntallocUnmapNotify {
    /// In: the index of any byte of the page, or of the byte to clear.
    pub index: u64,
    /// In: what to do. No bits cancel the notification.
    pub action: UnmapNotifyAction,
    /// In: the local port to send the event through. Not read if no event is to be sent.
    pub event_channel_port: u32,
}
layout!(IoctlGntallocUnmapNotify: 16 { index: 0, action: 8, event_channel_port: 12 });
