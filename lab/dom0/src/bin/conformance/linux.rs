// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux's devices, through the system calls that a scenario names.
//!
//! No address is dereferenced here: the kernel reads or writes the byte, through a pipe, and
//! answers EFAULT where an access would fault. An ioctl's argument ends right before a guard page.
#![expect(unsafe_code, reason = "system calls that name addresses")]

use std::fs::{File, OpenOptions};
use std::io::{Error, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::ptr;

use anyhow::{Context, Result, ensure};
use conformance::{Errno, GrantDevice, System};
use drivers::memory::PAGE_SIZE;
use nix::libc;
use nix::unistd::pipe;
use xen_sys::linux::evtchn::{
    IOCTL_EVTCHN_BIND_INTERDOMAIN, IOCTL_EVTCHN_BIND_UNBOUND_PORT, IoctlEvtchnBindInterdomain,
    IoctlEvtchnBindUnboundPort,
};

/// Room for the longest argument.
const ROOM: usize = 2 << 20;

/// This domain's devices.
#[derive(Debug)]
pub struct Linux {
    domid: u16,
    files: Vec<Option<File>>,
    /// Address and length of each reserved range: a mapping with a guard page on either side.
    reserved: Vec<(u64, usize)>,
    /// The event channel device, once a scenario has opened a channel.
    events: Option<File>,
    /// Ports that had an event.
    rang: Vec<u32>,
    reader: File,
    writer: File,
    /// The address of the arguments: [`ROOM`] bytes, with a guard page behind them.
    arguments: usize,
}

impl Linux {
    /// Checks that it runs in dom0, and sets up memory for arguments.
    pub fn new() -> Result<Linux> {
        let (reader, writer): (OwnedFd, OwnedFd) = pipe()?;
        // SAFETY: a new mapping replaces no other.
        let arguments = unsafe {
            libc::mmap(
                ptr::null_mut(),
                ROOM + PAGE_SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        ensure!(arguments != libc::MAP_FAILED, "no memory: {}", Error::last_os_error());
        let arguments = arguments as usize;
        // SAFETY: the last page of the mapping, which is unused.
        let guarded =
            unsafe { libc::mprotect((arguments + ROOM) as *mut _, PAGE_SIZE, libc::PROT_NONE) };
        ensure!(guarded == 0, "no guard page: {}", Error::last_os_error());
        Ok(Linux {
            domid: own_domid()?,
            files: Vec::new(),
            reserved: Vec::new(),
            events: None,
            rang: Vec::new(),
            reader: reader.into(),
            writer: writer.into(),
            arguments,
        })
    }

    fn fd(&self, file: u32) -> Result<i32, Errno> {
        let file = self.files.get(file as usize).and_then(Option::as_ref);
        file.map(AsRawFd::as_raw_fd).ok_or(Errno(libc::EBADF))
    }

    /// Makes an ioctl that binds a port. Returns the port.
    fn bind<T>(&self, command: u32, argument: &T) -> Result<u32, Errno> {
        let events = self.events.as_ref().ok_or(Errno(libc::EBADF))?;
        assert_eq!(command >> 16, size_of::<T>() as u32, "the argument is not the command's");
        // SAFETY: an evtchn command encodes how many bytes it reads, and `argument` has that many.
        let port = unsafe { libc::ioctl(events.as_raw_fd(), command as _, &raw const *argument) };
        check(port.into()).map(|port| port as u32)
    }
}

/// Returns 0 for dom0, and fails elsewhere: other domains would have to ask xenstore.
fn own_domid() -> Result<u16> {
    let uuid = std::fs::read_to_string("/sys/hypervisor/uuid").context("this is no Xen")?;
    let dom0 = uuid.trim().bytes().all(|byte| matches!(byte, b'0' | b'-'));
    ensure!(dom0, "this is not dom0");
    Ok(0)
}

/// Reserves addresses without memory.
fn reserve(length: usize) -> Result<u64, Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: without MAP_FIXED a new mapping replaces no other.
    let addr = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
    if addr == libc::MAP_FAILED { check(-1) } else { Ok(addr as u64) }
}

/// Converts a system call's result.
fn check(returned: i64) -> Result<u64, Errno> {
    let errno = || Errno(Error::last_os_error().raw_os_error().unwrap_or(0));
    u64::try_from(returned).map_err(|_| errno())
}

impl System for Linux {
    fn domid(&self) -> u16 {
        self.domid
    }

    fn open(&mut self, device: GrantDevice) -> Result<u32, Errno> {
        let path = format!("/dev/xen/{}", device.name());
        let file = OpenOptions::new().read(true).write(true).open(path);
        self.files.push(Some(file.map_err(|error| Errno(error.raw_os_error().unwrap_or(0)))?));
        Ok(self.files.len() as u32 - 1)
    }

    fn close(&mut self, file: u32) -> Result<(), Errno> {
        let file = self.files.get_mut(file as usize).and_then(Option::take);
        file.map(drop).ok_or(Errno(libc::EBADF))
    }

    fn ioctl(&mut self, file: u32, command: u32, argument: &mut [u8]) -> Result<u32, Errno> {
        let fd = self.fd(file)?;
        let len = argument.len();
        assert!(len <= ROOM, "an argument of {len} bytes");
        let place = (self.arguments + ROOM - len) as *mut u8;
        // SAFETY: `len` bytes at the end of this program's mapping, which nothing else refers to.
        let bytes = unsafe { std::slice::from_raw_parts_mut(place, len) };
        bytes.copy_from_slice(argument);
        // SAFETY: the kernel writes only to the argument: the guard page behind it can't be
        // written. A copy goes to addresses that the scenario got from mmap, or that are not
        // mapped.
        let done = unsafe { libc::ioctl(fd, command as _, place) };
        let done = check(done.into());
        // SAFETY: the same bytes, which the kernel no longer uses.
        argument.copy_from_slice(unsafe { std::slice::from_raw_parts(place, len) });
        done.map(|value| value as u32)
    }

    fn mmap(
        &mut self,
        file: u32,
        length: u64,
        prot: u32,
        flags: u32,
        offset: u64,
    ) -> Result<u64, Errno> {
        let fd = self.fd(file)?;
        // Leave guard pages around it: a scenario's access beyond the end must fault.
        let room = length.next_multiple_of(PAGE_SIZE as u64) as usize + 2 * PAGE_SIZE;
        let around = reserve(room)?;
        let place = (around as usize + PAGE_SIZE) as *mut _;
        let (prot, flags) = (prot as i32, flags as i32 | libc::MAP_FIXED);
        // SAFETY: it replaces part of the range just reserved, which has no memory.
        let addr = unsafe { libc::mmap(place, length as usize, prot, flags, fd, offset as i64) };
        let mapped = if addr == libc::MAP_FAILED { check(-1) } else { Ok(addr as u64) };
        self.reserved.push((around, room));
        mapped
    }

    fn munmap(&mut self, addr: u64, length: u64) -> Result<(), Errno> {
        // SAFETY: scenarios unmap what mmap returned, or the same again right afterwards, before
        // anything else is mapped there.
        check(unsafe { libc::munmap(addr as *mut _, length as usize) }.into()).map(drop)
    }

    fn load(&mut self, addr: u64) -> Result<u8, Errno> {
        let fd = self.writer.as_raw_fd();
        // SAFETY: the kernel reads the byte, or returns EFAULT.
        check(unsafe { libc::write(fd, addr as *const _, 1) } as i64)?;
        let mut byte = [0];
        self.reader.read_exact(&mut byte).map_err(|_| Errno(libc::EIO))?;
        Ok(byte[0])
    }

    fn store(&mut self, addr: u64, value: u8) -> Result<(), Errno> {
        self.writer.write_all(&[value]).map_err(|_| Errno(libc::EIO))?;
        let fd = self.reader.as_raw_fd();
        // SAFETY: scenarios store to what mmap returned, or where this program has nothing mapped;
        // no reference to it exists.
        let stored = check(unsafe { libc::read(fd, addr as *mut _, 1) } as i64);
        if stored.is_err() {
            // The byte is still in the pipe.
            self.reader.read_exact(&mut [0]).map_err(|_| Errno(libc::EIO))?;
        }
        stored.map(drop)
    }

    fn channel(&mut self) -> Result<(u32, u32), Errno> {
        if self.events.is_none() {
            let mut options = OpenOptions::new();
            options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
            let opened = options.open("/dev/xen/evtchn");
            let opened = opened.map_err(|error| Errno(error.raw_os_error().unwrap_or(0)));
            self.events = Some(opened?);
        }
        let own = u32::from(self.domid);
        let unbound = IoctlEvtchnBindUnboundPort { remote_domain: own };
        let sends = self.bind(IOCTL_EVTCHN_BIND_UNBOUND_PORT, &unbound)?;
        let pair = IoctlEvtchnBindInterdomain { remote_domain: own, remote_port: sends };
        let rings = self.bind(IOCTL_EVTCHN_BIND_INTERDOMAIN, &pair)?;
        Ok((sends, rings))
    }

    fn rang(&mut self, port: u32) -> bool {
        let mut bytes = [0; 256];
        if let Some(events) = &mut self.events {
            // Nothing to read means no event.
            let read = events.read(&mut bytes).unwrap_or(0);
            let (ports, _) = bytes[..read].as_chunks();
            self.rang.extend(ports.iter().map(|port| u32::from_le_bytes(*port)));
            // A port stays masked until it's written back.
            let _ = events.write(&bytes[..read]);
        }
        let before = self.rang.len();
        self.rang.retain(|rang| *rang != port);
        self.rang.len() < before
    }

    fn finish(&mut self) {
        for (addr, length) in self.reserved.drain(..) {
            // SAFETY: the ranges reserved in this scenario, with the mappings in them. A hole that
            // the scenario left in one is still a hole: this program maps nothing between a
            // scenario's calls.
            unsafe { libc::munmap(addr as *mut _, length) };
        }
        self.files.clear();
        self.events = None;
        self.rang.clear();
    }
}
