// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages shared with another domain, granted or mapped by us.
//!
//! The other domain may write them at any time. So words are accessed atomically, and bytes are
//! copied by one instruction that the compiler knows nothing about; there is never a reference.
#![expect(unsafe_code, reason = "memory that another domain writes")]

use std::arch::asm;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use drivers::memory::PAGE_SIZE;
use drivers::shared::{Shared, SharedBits, SharedMut};
use drivers::{Access, DomId, Errno, Error, GrantRef, PortNumber};
use nix::libc;

use crate::device;

/// Mapped pages. Dropping them releases them.
#[derive(Debug)]
pub struct Pages {
    start: *mut u8,
    len: usize,
    access: Access,
    /// Of pages that we granted.
    refs: Vec<GrantRef>,
    /// Where the pages are in the device's file.
    index: u64,
    /// Closed after the pages are unmapped; that releases their grants.
    device: File,
}

// SAFETY: a mapping belongs to the whole process, and any thread may end it.
unsafe impl Send for Pages {}

impl Pages {
    /// Grants zeroed pages.
    pub(crate) fn grant(peer: DomId, pages: u32) -> Result<Self, Error> {
        let device = device::open(&"/dev/xen/gntalloc")?;
        let (index, refs) = device::alloc(&device, peer, pages)?;
        Self::new(device, index, pages as usize, Access::ReadWrite, refs)
    }

    /// Maps a peer's pages.
    pub(crate) fn map(peer: DomId, refs: &[GrantRef], access: Access) -> Result<Self, Error> {
        let device = device::open(&"/dev/xen/gntdev")?;
        let index = device::reserve(&device, peer, refs)?;
        Self::new(device, index, refs.len(), access, Vec::new())
    }

    fn new(
        device: File,
        index: u64,
        pages: usize,
        access: Access,
        refs: Vec<GrantRef>,
    ) -> Result<Self, Error> {
        let protection = match access {
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Access::ReadOnly => libc::PROT_READ,
        };
        let (len, fd) = (pages * PAGE_SIZE, device.as_raw_fd());
        let (none, shared, offset) = (ptr::null_mut(), libc::MAP_SHARED, index as libc::off_t);
        // SAFETY: without MAP_FIXED, a new mapping replaces no other.
        let start = unsafe { libc::mmap(none, len, protection, shared, fd, offset) };
        if start == libc::MAP_FAILED {
            return Err(device::failed(&"the pages can't be mapped"));
        }
        Ok(Self { start: start.cast(), len, access, refs, index, device })
    }

    pub(crate) fn references(&self) -> impl Iterator<Item = GrantRef> {
        self.refs.iter().copied()
    }

    pub(crate) fn on_end(&mut self, byte: usize, port: PortNumber) -> Result<(), Error> {
        self.check(byte, 1)?;
        device::on_end(&self.device, self.index + byte as u64, port)
    }

    /// The address of `len` bytes.
    fn at(&self, offset: usize, len: usize) -> Result<*mut u8, Error> {
        self.check(offset, len)?;
        // SAFETY: inside the mapping, or at its end if `len` is 0.
        Ok(unsafe { self.start.add(offset) })
    }

    fn writable(&self) -> Result<(), Error> {
        let writable = self.access == Access::ReadWrite;
        writable.then_some(()).ok_or(Error::Local(Errno::EACCES, &"mapped to be read"))
    }

    fn byte(&self, offset: usize) -> Result<&AtomicU8, Error> {
        let at = self.at(offset, 1)?;
        // SAFETY: a mapped byte, which everybody here accesses atomically.
        Ok(unsafe { AtomicU8::from_ptr(at) })
    }

    fn word(&self, offset: usize) -> Result<&AtomicU32, Error> {
        if !offset.is_multiple_of(4) {
            return Err(Error::Local(Errno::EINVAL, &"the offset is no multiple of 4"));
        }
        let at = self.at(offset, 4)?.cast();
        // SAFETY: four mapped bytes, aligned since pages are.
        Ok(unsafe { AtomicU32::from_ptr(at) })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nobody uses any more.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

/// # Safety
/// `len` bytes are mapped at both addresses, those at `to` writable, and only shared pages are
/// written by others meanwhile.
unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller's promise. One opaque instruction: whatever a peer writes meanwhile, the
    // result is some bytes. The ABI has the direction flag cleared.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
}

impl Shared for Pages {
    fn size(&self) -> usize {
        self.len
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let from = self.at(offset, bytes.len())?;
        // SAFETY: `from` has as many bytes as the slice.
        unsafe { copy(bytes.as_mut_ptr(), from, bytes.len()) };
        Ok(())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        Ok(self.word(offset)?.load(Ordering::Acquire))
    }
}

impl SharedMut for Pages {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.writable()?;
        let to = self.at(offset, bytes.len())?;
        // SAFETY: `to` has as many bytes as the slice, and they are writable.
        unsafe { copy(to, bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        self.writable()?;
        self.word(offset)?.store(value, Ordering::Release);
        Ok(())
    }
}

impl SharedBits for Pages {
    fn fetch_or_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        self.writable()?;
        Ok(self.byte(offset)?.fetch_or(bits, Ordering::SeqCst))
    }

    fn fetch_and_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        self.writable()?;
        Ok(self.byte(offset)?.fetch_and(bits, Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages of an ordinary file, in which the index is an offset, too.
    fn pages(access: Access) -> Pages {
        let file = File::options().read(true).write(true).open("/dev/zero").expect("a device");
        Pages::new(file, 0, 2, access, Vec::new()).expect("pages")
    }

    #[test]
    fn what_is_written_is_read() {
        let pages = pages(Access::ReadWrite);
        assert_eq!(pages.size(), 2 * PAGE_SIZE);
        pages.write(PAGE_SIZE - 2, b"abcd").expect("inside");
        let mut bytes = [0; 6];
        pages.read(PAGE_SIZE - 3, &mut bytes).expect("inside");
        assert_eq!(&bytes, b"\0abcd\0");
        assert_eq!(pages.load_u32(PAGE_SIZE), Ok(u32::from_le_bytes(*b"cd\0\0")));
        assert_eq!(pages.fetch_or_u8(8, 6), Ok(0));
        assert_eq!(pages.fetch_and_u8(8, 3), Ok(6));
        assert_eq!(pages.load_u32(8), Ok(2));
    }

    #[test]
    fn nothing_outside_is_touched() {
        let pages = pages(Access::ReadWrite);
        let end = 2 * PAGE_SIZE;
        assert_eq!(pages.write(end, b""), Ok(()));
        for refused in [
            pages.write(end - 1, b"ab"),
            pages.read(usize::MAX, &mut [0; 2]),
            pages.store_u32(end, 0),
            pages.store_u32(end - 2, 0),
            pages.fetch_or_u8(end, 0).map(drop),
        ] {
            assert_eq!(refused.map_err(|error| error.errno()), Err(Errno::EINVAL));
        }
    }

    #[test]
    fn pages_to_be_read_are_not_written() {
        let pages = pages(Access::ReadOnly);
        assert_eq!(pages.load_u32(0), Ok(0));
        for refused in
            [pages.write(0, b"a"), pages.store_u32(0, 1), pages.fetch_and_u8(0, 1).map(drop)]
        {
            assert_eq!(refused.map_err(|error| error.errno()), Err(Errno::EACCES));
        }
    }
}
