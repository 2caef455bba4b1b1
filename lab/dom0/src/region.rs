// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages shared with another domain. Every access is atomic, since the other domain may write at
//! any time.
#![expect(unsafe_code, reason = "memory that a library has mapped")]

use std::ffi::c_void;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use drivers::memory::PAGE_SIZE;
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Errno, Error};

/// Mapped pages.
#[derive(Debug)]
pub struct Region {
    start: *mut u8,
    len: usize,
    access: Access,
}

impl Region {
    /// # Safety
    /// `len` bytes from `start` on, in whole pages, are mapped and stay mapped while this exists.
    /// They are writable if `access` says so, and this program accesses them only through this
    /// value.
    pub unsafe fn new(start: *mut c_void, len: usize, access: Access) -> Region {
        Region { start: start.cast(), len, access }
    }

    /// Returns its address.
    pub fn address(&self) -> *mut c_void {
        self.start.cast()
    }

    /// Returns its length in pages.
    pub fn pages(&self) -> u32 {
        (self.len / PAGE_SIZE) as u32
    }

    /// Returns the region for writing, if that is allowed.
    pub fn writable(&self) -> Option<&dyn SharedMut> {
        (self.access == Access::ReadWrite).then_some(self)
    }

    fn byte(&self, offset: usize) -> &AtomicU8 {
        debug_assert!(offset < self.len, "{offset} is outside");
        // SAFETY: callers have checked that `offset` is inside, and the caller of `new` promised
        // that the region is mapped.
        let at = unsafe { self.start.add(offset) };
        // SAFETY: it's mapped while `self` exists, and accessed only by atomics. A load needs only
        // read access.
        unsafe { AtomicU8::from_ptr(at) }
    }

    fn word(&self, offset: usize) -> Result<&AtomicU32, Error> {
        self.check(offset, 4)?;
        if !offset.is_multiple_of(4) {
            return Err(Error::Local(Errno::EINVAL, &"the offset is no multiple of 4"));
        }
        let at = self.byte(offset).as_ptr().cast();
        // SAFETY: four mapped bytes, at a multiple of 4 from the start of a page.
        Ok(unsafe { AtomicU32::from_ptr(at) })
    }
}

impl Shared for Region {
    fn size(&self) -> usize {
        self.len
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = self.byte(offset + at).load(Ordering::Relaxed);
        }
        Ok(())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        Ok(self.word(offset)?.load(Ordering::Acquire))
    }
}

impl SharedMut for Region {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        for (at, byte) in bytes.iter().enumerate() {
            self.byte(offset + at).store(*byte, Ordering::Relaxed);
        }
        Ok(())
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        self.word(offset)?.store(value, Ordering::Release);
        Ok(())
    }
}
