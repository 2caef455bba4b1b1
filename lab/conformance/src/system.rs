// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a scenario sees: system calls of Linux's shape, and what is needed to watch their effects.

/// An error number, positive. Xen's list has Linux's numbers, and but for ENOTTY all that the two
/// devices answer with.
pub use xen_sys::errno::Errno;

/// One of the two devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantDevice {
    /// `/dev/xen/gntdev`, which maps what others grant.
    Gntdev,
    /// `/dev/xen/gntalloc`, which grants.
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

/// A system with both devices. Files and addresses are its own to number.
pub trait System {
    /// The number of the domain that it runs in.
    fn domid(&self) -> u16;

    /// `open`.
    ///
    /// # Errors
    /// As the device says.
    fn open(&mut self, device: GrantDevice) -> Result<u32, Errno>;

    /// `close`. What the file has mapped stays so.
    ///
    /// # Errors
    /// As the device says.
    fn close(&mut self, file: u32) -> Result<(), Errno>;

    /// `ioctl`, with an argument behind whose end nothing can be read or written.
    ///
    /// # Errors
    /// As the device says.
    fn ioctl(&mut self, file: u32, command: u32, argument: &mut [u8]) -> Result<u32, Errno>;

    /// `mmap` where the system likes; the address.
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

    /// `munmap`, of what `mmap` returned.
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

    /// An event channel from this domain to itself: the port to send through, and the one that
    /// rings.
    ///
    /// # Errors
    /// Xen's.
    fn channel(&mut self) -> Result<(u32, u32), Errno>;

    /// Whether a port rang since the last time that this was asked.
    fn rang(&mut self, port: u32) -> bool;

    /// Unmaps and closes all that is left, event channels too.
    fn finish(&mut self);
}
