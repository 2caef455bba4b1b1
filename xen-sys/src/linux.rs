//! Command numbers and structures of Linux's headers xen/gntdev.h and xen/gntalloc.h.
//!
//! Transcribed; the sizes and offsets are asserted here and compared with the headers by a test.

/// `_IOC(_IOC_NONE, 'G', number, sizeof(T))`.
const fn command<T>(number: u32) -> u32 {
    (size_of::<T>() as u32) << 16 | (b'G' as u32) << 8 | number
}

macro_rules! structures {
    ($($(#[doc = $doc:literal])+ $name:ident: $size:literal {
        $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty = $offset:literal,)*
    })*) => {
        $(
            $(#[doc = $doc])+
            #[repr(C)]
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub struct $name {
                $($(#[doc = $field_doc])+ pub $field: $type,)*
            }
            const _: () = assert!(size_of::<$name>() == $size);
            $(const _: () = assert!(core::mem::offset_of!($name, $field) == $offset);)*
        )*
    };
}

structures! {
    /// `struct ioctl_gntdev_grant_ref`.
    GrantRefEntry: 8 {
        /// In: the granter.
        domid: u32 = 0,
        /// In: its reference.
        gref: u32 = 4,
    }
    /// `struct ioctl_gntdev_map_grant_ref`, with the first of its references.
    MapGrantRef: 24 {
        /// In: how many references follow.
        count: u32 = 0,
        /// Ignored.
        pad: u32 = 4,
        /// Out: what to give to mmap.
        index: u64 = 8,
        /// In: the references, `count` of them.
        refs: [GrantRefEntry; 1] = 16,
    }
    /// `struct ioctl_gntdev_unmap_grant_ref`.
    UnmapGrantRef: 16 {
        /// In: the first index.
        index: u64 = 0,
        /// In: how many.
        count: u32 = 8,
        /// Ignored.
        pad: u32 = 12,
    }
    /// `struct ioctl_gntdev_get_offset_for_vaddr`.
    GetOffsetForVaddr: 24 {
        /// In: the start of a mapping.
        vaddr: u64 = 0,
        /// Out: its index.
        offset: u64 = 8,
        /// Out: its pages.
        count: u32 = 16,
        /// Ignored.
        pad: u32 = 20,
    }
    /// `struct ioctl_gntdev_set_max_grants`.
    SetMaxGrants: 4 {
        /// In: grants that can be mapped at once.
        count: u32 = 0,
    }
    /// `struct ioctl_gntdev_unmap_notify`, and `ioctl_gntalloc_unmap_notify`.
    UnmapNotifyArg: 16 {
        /// In: the byte, in index space.
        index: u64 = 0,
        /// In: what to do.
        action: u32 = 8,
        /// In: the port to ring.
        event_channel_port: u32 = 12,
    }
    /// `struct ioctl_gntdev_grant_copy`.
    GrantCopy: 16 {
        /// In: how many segments.
        count: u32 = 0,
        /// Ignored.
        pad: u32 = 4,
        /// In: the address of the segments.
        segments: u64 = 8,
    }
    /// `struct gntdev_grant_copy_segment`.
    GrantCopySegment: 24 {
        /// In: an address, or a [`ForeignEnd`] where the flags say so.
        source: u64 = 0,
        /// In: the same.
        dest: u64 = 8,
        /// In: bytes.
        len: u16 = 16,
        /// In: `GNTCOPY_source_gref` and `GNTCOPY_dest_gref`.
        flags: u16 = 18,
        /// Out: the outcome.
        status: i16 = 20,
        /// Ignored.
        pad: u16 = 22,
    }
    /// The `foreign` side of a segment.
    ForeignEnd: 8 {
        /// In: the reference.
        gref: u32 = 0,
        /// In: bytes from the start of its page.
        offset: u16 = 4,
        /// In: the granter.
        domid: u16 = 6,
    }
    /// `struct ioctl_gntalloc_alloc_gref`, with the first of its results.
    AllocGref: 24 {
        /// In: who may map the pages.
        domid: u16 = 0,
        /// In: `GNTALLOC_FLAG_WRITABLE`.
        flags: u16 = 2,
        /// In: how many pages.
        count: u32 = 4,
        /// Out: the first one's index.
        index: u64 = 8,
        /// Out: the references, `count` of them.
        gref_ids: [u32; 1] = 16,
        /// Ignored.
        pad: u32 = 20,
    }
    /// `struct ioctl_gntalloc_dealloc_gref`.
    DeallocGref: 16 {
        /// In: the first index.
        index: u64 = 0,
        /// In: how many.
        count: u32 = 8,
        /// Ignored.
        pad: u32 = 12,
    }
}

/// `IOCTL_GNTDEV_MAP_GRANT_REF`.
pub const MAP_GRANT_REF: u32 = command::<MapGrantRef>(0);
/// `IOCTL_GNTDEV_UNMAP_GRANT_REF`.
pub const UNMAP_GRANT_REF: u32 = command::<UnmapGrantRef>(1);
/// `IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR`.
pub const GET_OFFSET_FOR_VADDR: u32 = command::<GetOffsetForVaddr>(2);
/// `IOCTL_GNTDEV_SET_MAX_GRANTS`.
pub const SET_MAX_GRANTS: u32 = command::<SetMaxGrants>(3);
/// `IOCTL_GNTALLOC_ALLOC_GREF`.
pub const ALLOC_GREF: u32 = command::<AllocGref>(5);
/// `IOCTL_GNTALLOC_DEALLOC_GREF`.
pub const DEALLOC_GREF: u32 = command::<DeallocGref>(6);
/// `IOCTL_GNTDEV_SET_UNMAP_NOTIFY`, and `IOCTL_GNTALLOC_SET_UNMAP_NOTIFY`.
pub const SET_UNMAP_NOTIFY: u32 = command::<UnmapNotifyArg>(7);
/// `IOCTL_GNTDEV_GRANT_COPY`.
pub const GRANT_COPY: u32 = command::<GrantCopy>(8);
