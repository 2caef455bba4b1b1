// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the scenarios of the `conformance` crate on Grantkit's devices, through the API with
//! Linux's ABI.
//!
//! Memory is accessed through the file that mapped it, and what no file mapped is EFAULT. A guest
//! has no system calls, so files are numbered here. Each gntalloc file has addresses of its own, so
//! the file's number is added to them as their top bits.

use alloc::string::String;
use alloc::vec::Vec;

use ::conformance::{Device, Errno, Scenario, System};
use drivers::events::Port;
use drivers::memory::Platform;
use drivers::{Error, Services};
use linux::ioctl::{GntallocFile, GntdevFile};

/// The bit at which a gntalloc file's number begins in its addresses.
const FILE_SHIFT: u32 = 40;

/// Grantkit's devices, as a scenario sees them.
#[derive(Debug)]
struct Face<'a, X: Platform> {
    services: &'a Services<X>,
    files: Vec<OpenFile<X>>,
    /// The address and the file of every mapping that was made.
    mapped: Vec<(u64, usize)>,
    ports: Vec<Port<X>>,
    /// How many events each port had had when last asked about.
    heard: Vec<(u32, u64)>,
}

#[derive(Debug)]
enum OpenFile<X: Platform> {
    Gntdev(GntdevFile<X>),
    Gntalloc(GntallocFile<X>),
}

/// Runs a scenario. Returns its lines.
pub fn run<X: Platform>(scenario: &Scenario, services: &Services<X>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut face = Face {
        services,
        files: Vec::new(),
        mapped: Vec::new(),
        ports: Vec::new(),
        heard: Vec::new(),
    };
    scenario.run(&mut face, &mut |line| lines.push(line.into()));
    lines
}

impl<X: Platform> Face<'_, X> {
    fn file(&mut self, number: u32) -> Result<&mut OpenFile<X>, Errno> {
        self.files.get_mut(number as usize).ok_or(Errno(9))
    }

    /// Returns the file that maps an address, or mapped it last, and the file's own address for it.
    fn at(&mut self, addr: u64) -> Result<(&mut OpenFile<X>, usize), Errno> {
        let mut known = self.mapped.iter().rev();
        let before = known.find(|(start, _)| (*start..*start + (1 << 30)).contains(&addr));
        let number = before.ok_or(Errno::EFAULT)?.1;
        let addr = addr - self.base(number);
        Ok((&mut self.files[number], addr as usize))
    }

    fn base(&self, number: usize) -> u64 {
        match self.files[number] {
            OpenFile::Gntdev(_) => 0,
            OpenFile::Gntalloc(_) => (number as u64 + 1) << FILE_SHIFT,
        }
    }
}

impl<X: Platform> System for Face<'_, X> {
    fn domid(&self) -> u16 {
        self.services.domid.get()
    }

    fn open(&mut self, device: Device) -> Result<u32, Errno> {
        let services = self.services;
        self.files.push(match device {
            Device::Gntdev => OpenFile::Gntdev(GntdevFile::open(&services.gntdev).map_err(errno)?),
            Device::Gntalloc => {
                OpenFile::Gntalloc(GntallocFile::open(&services.gntalloc).map_err(errno)?)
            }
        });
        Ok(self.files.len() as u32 - 1)
    }

    fn close(&mut self, file: u32) -> Result<(), Errno> {
        match self.file(file)? {
            OpenFile::Gntdev(file) => file.close(),
            OpenFile::Gntalloc(file) => file.close(),
        }
        .map_err(errno)
    }

    fn ioctl(&mut self, file: u32, command: u32, argument: &mut [u8]) -> Result<u32, Errno> {
        match self.file(file)? {
            OpenFile::Gntdev(file) => file.ioctl(command, argument),
            OpenFile::Gntalloc(file) => file.ioctl(command, argument),
        }
        .map(|()| 0)
        .map_err(errno)
    }

    fn mmap(
        &mut self,
        file: u32,
        length: u64,
        prot: u32,
        flags: u32,
        offset: u64,
    ) -> Result<u64, Errno> {
        let addr = match self.file(file)? {
            OpenFile::Gntdev(file) => file.mmap(length, prot, flags, offset),
            OpenFile::Gntalloc(file) => file.mmap(length, prot, flags, offset),
        };
        let number = file as usize;
        let addr = addr.map_err(errno)? as u64 + self.base(number);
        self.mapped.push((addr, number));
        Ok(addr)
    }

    fn munmap(&mut self, addr: u64, length: u64) -> Result<(), Errno> {
        match self.at(addr).map_err(|_| Errno(22))? {
            (OpenFile::Gntdev(file), addr) => file.munmap(addr, length),
            (OpenFile::Gntalloc(file), addr) => file.munmap(addr, length),
        }
        .map_err(errno)
    }

    fn load(&mut self, addr: u64) -> Result<u8, Errno> {
        let mut byte = [0];
        match self.at(addr)? {
            (OpenFile::Gntdev(file), addr) => file.read(addr, &mut byte),
            (OpenFile::Gntalloc(file), addr) => file.read(addr, &mut byte),
        }
        .map_err(errno)?;
        Ok(byte[0])
    }

    fn store(&mut self, addr: u64, value: u8) -> Result<(), Errno> {
        match self.at(addr)? {
            (OpenFile::Gntdev(file), addr) => file.write(addr, &[value]),
            (OpenFile::Gntalloc(file), addr) => file.write(addr, &[value]),
        }
        .map_err(errno)
    }

    fn channel(&mut self) -> Result<(u32, u32), Errno> {
        let Services { events, domid, .. } = self.services;
        let sends = events.alloc_unbound(*domid).map_err(errno)?;
        let rings = events.bind_interdomain(*domid, sends.number()).map_err(errno)?;
        let numbers = (sends.number().0, rings.number().0);
        self.ports.extend([sends, rings]);
        Ok(numbers)
    }

    fn rang(&mut self, port: u32) -> bool {
        // In a guest the idle loop does this between tasks, but a scenario is a single task.
        self.services.events.dispatch();
        let Some(rings) = self.ports.iter().find(|open| open.number().0 == port) else {
            return false;
        };
        let delivered = rings.delivered();
        let heard = self.heard.iter_mut().find(|(heard, _)| *heard == port);
        match heard {
            Some((_, before)) => core::mem::replace(before, delivered) < delivered,
            None => {
                self.heard.push((port, delivered));
                delivered > 0
            }
        }
    }

    fn finish(&mut self) {
        self.files.clear();
        self.mapped.clear();
        self.ports.clear();
        self.heard.clear();
        // Pages that the scenario's mapper held until the end must not count in the next scenario.
        self.services.gntalloc.reap(u32::MAX);
    }
}

fn errno(error: Error) -> Errno {
    Errno(error.errno().0.into())
}
