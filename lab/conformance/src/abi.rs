//! Commands and structures of Linux's headers xen/gntdev.h and xen/gntalloc.h, as bytes.
//!
//! Little-endian, as the only machine that both systems run on.

use alloc::vec::Vec;

/// `_IOC(_IOC_NONE, 'G', number, size)`.
const fn command(number: u32, size: u32) -> u32 {
    size << 16 | 0x47 << 8 | number
}

/// `IOCTL_GNTDEV_MAP_GRANT_REF`.
pub const MAP_GRANT_REF: u32 = command(0, 24);
/// `IOCTL_GNTDEV_UNMAP_GRANT_REF`.
pub const UNMAP_GRANT_REF: u32 = command(1, 16);
/// `IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR`.
pub const GET_OFFSET_FOR_VADDR: u32 = command(2, 24);
/// `IOCTL_GNTDEV_SET_MAX_GRANTS`.
pub const SET_MAX_GRANTS: u32 = command(3, 4);
/// `IOCTL_GNTALLOC_ALLOC_GREF`.
pub const ALLOC_GREF: u32 = command(5, 24);
/// `IOCTL_GNTALLOC_DEALLOC_GREF`.
pub const DEALLOC_GREF: u32 = command(6, 16);
/// `IOCTL_GNTDEV_SET_UNMAP_NOTIFY`, and `IOCTL_GNTALLOC_SET_UNMAP_NOTIFY`.
pub const SET_UNMAP_NOTIFY: u32 = command(7, 16);
/// `IOCTL_GNTDEV_GRANT_COPY`.
pub const GRANT_COPY: u32 = command(8, 16);
/// `IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS`.
pub const DMABUF_EXP_FROM_REFS: u32 = command(9, 24);

/// `PROT_READ`.
pub const PROT_READ: u32 = 1;
/// `PROT_WRITE`.
pub const PROT_WRITE: u32 = 2;
/// `MAP_SHARED`.
pub const MAP_SHARED: u32 = 1;
/// `MAP_PRIVATE`.
pub const MAP_PRIVATE: u32 = 2;

/// `GNTALLOC_FLAG_WRITABLE`.
pub const WRITABLE: u16 = 1;
/// `UNMAP_NOTIFY_CLEAR_BYTE`.
pub const CLEAR_BYTE: u32 = 1;
/// `UNMAP_NOTIFY_SEND_EVENT`.
pub const SEND_EVENT: u32 = 2;
/// `GNTCOPY_source_gref`.
pub const SOURCE_GREF: u16 = 1;
/// `GNTCOPY_dest_gref`.
pub const DEST_GREF: u16 = 2;

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// A structure that grows field by field.
#[derive(Debug, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn u16(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Zeroes up to `len` bytes.
    pub(crate) fn padded(mut self, len: usize) -> Self {
        self.0.resize(len.max(self.0.len()), 0);
        self
    }
}

/// The number at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(core::array::from_fn(|i| bytes[at + i]))
}

/// The number at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|i| bytes[at + i]))
}
