// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a scenario runs on: calls in the shape of Linux's system calls, and what is needed to
//! observe their effects.

/// A positive error number. Xen's list has the same numbers as Linux's, and every one that the two
/// devices return except ENOTTY.
pub use xen_sys::errno::Errno;

/// One of the two grant devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantDevice {
    /// `/dev/xen/gntdev`, which maps grants.
    Gntdev,
    /// `/dev/xen/gntalloc`, which makes grants.
    Gntalloc,
}

impl GrantDevice {
    /// Its name under `/dev/xen`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gntdev => "gntdev",
            Self::Gntalloc => "gntalloc",
        }
    }
}

/// A system with both devices. It chooses file numbers and addresses.
pub trait System {
    /// Returns the domid of the domain that it runs in.
    fn domid(&self) -> u16;

    /// `open`.
    ///
    /// # Errors
    /// As the device says.
    fn open(&mut self, device: GrantDevice) -> Result<u32, Errno>;

    /// `close`. The file's mappings stay.
    ///
    /// # Errors
    /// As the device says.
    fn close(&mut self, file: u32) -> Result<(), Errno>;

    /// `ioctl`. Nothing beyond the argument's end can be read or written.
    ///
    /// # Errors
    /// As the device says.
    fn ioctl(&mut self, file: u32, command: u32, argument: &mut [u8]) -> Result<u32, Errno>;

    /// `mmap` at an address that the system chooses. Returns the address.
    ///
    /// # Errors
    /// As the device says.
    fn mmap(
        &mut self,
        file: u32,
        length: u64,
        prot: u32,
        flags: u32,
        offset: u64,
    ) -> Result<u64, Errno>;

    /// `munmap` of what `mmap` returned.
    ///
    /// # Errors
    /// As the device says.
    fn munmap(&mut self, addr: u64, length: u64) -> Result<(), Errno>;

    /// Reads a byte.
    ///
    /// # Errors
    /// EFAULT where that faults.
    fn load(&mut self, addr: u64) -> Result<u8, Errno>;

    /// Writes a byte.
    ///
    /// # Errors
    /// EFAULT where that faults.
    fn store(&mut self, addr: u64, value: u8) -> Result<(), Errno>;

    /// Opens an event channel from this domain to itself. Returns the port that sends and the one
    /// that receives.
    ///
    /// # Errors
    /// Xen's.
    fn channel(&mut self) -> Result<(u32, u32), Errno>;

    /// Whether a port has had an event since the last call of this.
    fn rang(&mut self, port: u32) -> bool;

    /// Unmaps and closes everything that is left, including event channels.
    fn finish(&mut self);
}
