// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls of the ioctl and libxen APIs made from arbitrary bytes: any command, any argument, any
//! address.
//!
//! It checks that no call panics, and that nothing is left after everything is released. FakeXen
//! adds its own checks: it panics on an access to memory that isn't mapped.

use alloc::vec;
use alloc::vec::Vec;

use drivers::{GrantRef, Limits, PortNumber};
use fake_xen::{Config, FakeXen, World};
use linux::abi::{gntalloc, gntdev};
use linux::ioctl::{GntallocFile, GntdevFile};
use linux::libxen::{Gntshr, Gnttab};

/// Takes values off a string of bytes, and zeroes once that is used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(core::array::from_fn(|_| self.byte()))
    }

    /// Returns a meaningful number or an arbitrary one.
    fn number(&mut self, known: &[u64]) -> u64 {
        let near = [0, 1, 4095, 4096, 8192];
        match self.byte() {
            0..16 => self.u64(),
            16..32 => u64::from(self.byte()),
            32..48 => u64::MAX - u64::from(self.byte()),
            pick => {
                let base = known.get(usize::from(pick) % known.len().max(1)).copied().unwrap_or(0);
                base.wrapping_add(near[usize::from(pick) % 5])
            }
        }
    }
}

struct Caller {
    guest: fake_xen::Guest,
    dev: GntdevFile<FakeXen>,
    alloc: GntallocFile<FakeXen>,
    tab: Gnttab<FakeXen>,
    shr: Gntshr<FakeXen>,
    /// Numbers that calls returned: indices, addresses, grefs.
    known: Vec<u64>,
}

impl Caller {
    fn new(world: &World, domid: u16) -> Self {
        let config = Config { pages: 24, max_grant_frames: 1, ..Config::default() };
        let guest = world.guest_with(domid, config, Limits { gntalloc: 16, gntdev: 24 });
        Self {
            dev: GntdevFile::open(&guest.gntdev).unwrap(),
            alloc: GntallocFile::open(&guest.gntalloc).unwrap(),
            tab: Gnttab::open(&guest.gntdev).unwrap(),
            shr: Gntshr::open(&guest.gntalloc).unwrap(),
            guest,
            known: Vec::new(),
        }
    }

    fn learn<E>(&mut self, number: Result<u64, E>) {
        self.known.extend(number);
        let len = self.known.len();
        self.known.drain(..len.saturating_sub(12));
    }
}

/// Makes the calls that `input` encodes.
///
/// # Panics
/// If something is left at the end, or if FakeXen finds misuse.
pub fn run(input: &[u8]) {
    let world = World::new();
    let mut guests = [Caller::new(&world, 1), Caller::new(&world, 2)];
    let mut input = Bytes(input);
    // Grefs that the guests tell each other.
    let mut offered = Vec::new();
    while !input.0.is_empty() {
        let who = input.byte();
        step(&mut guests[usize::from(who % 2)], who / 2, &mut input, &mut offered);
        // The state of everything open can be read without a panic.
        for caller in &guests {
            let usage = caller.guest.gntdev.usage();
            assert!(usage.mapped + usage.stuck <= usage.reserved);
        }
    }
    let guests = guests.map(|caller| caller.guest);
    for guest in &guests {
        guest.gntalloc.reap(u32::MAX);
        guest.assert_clean();
    }
}

fn step(guest: &mut Caller, call: u8, input: &mut Bytes<'_>, offered: &mut Vec<u64>) {
    let known = guest.known.clone();
    let mut number = || input.number(&known);
    let commands = [
        gntdev::IOCTL_GNTDEV_MAP_GRANT_REF,
        gntdev::IOCTL_GNTDEV_UNMAP_GRANT_REF,
        gntdev::IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR,
        gntdev::IOCTL_GNTDEV_SET_MAX_GRANTS,
        gntalloc::IOCTL_GNTALLOC_ALLOC_GREF,
        gntalloc::IOCTL_GNTALLOC_DEALLOC_GREF,
        gntdev::IOCTL_GNTDEV_SET_UNMAP_NOTIFY,
        gntdev::IOCTL_GNTDEV_GRANT_COPY,
    ];
    match call % 20 {
        // Well-formed arguments with arbitrary values, so that calls get far.
        0..4 => {
            let count = (number() % 4) as u32;
            let mut bytes = vec![0; 24 + 4 * count as usize];
            bytes[..2].copy_from_slice(&((number() % 4) as u16).to_ne_bytes());
            bytes[2..4].copy_from_slice(&1u16.to_ne_bytes());
            bytes[4..8].copy_from_slice(&count.to_ne_bytes());
            if guest.alloc.ioctl(gntalloc::IOCTL_GNTALLOC_ALLOC_GREF, &mut bytes).is_ok()
                && count > 0
            {
                let gref = u32::from_ne_bytes(bytes[16..20].try_into().unwrap());
                offered.push(u64::from(gref));
                guest.learn::<()>(Ok(u64::from_ne_bytes(bytes[8..16].try_into().unwrap())));
            }
        }
        4..8 => {
            let count = (number() % 4) as u32;
            let mut bytes = vec![0; 24 + 8 * count as usize];
            bytes[..4].copy_from_slice(&count.to_ne_bytes());
            for entry in bytes[16..].chunks_exact_mut(8).take(count as usize) {
                let gref = offered.last().copied().unwrap_or(8).wrapping_add(number() % 2);
                entry[..4].copy_from_slice(&((number() % 4) as u32).to_ne_bytes());
                entry[4..].copy_from_slice(&(gref as u32).to_ne_bytes());
            }
            if guest.dev.ioctl(gntdev::IOCTL_GNTDEV_MAP_GRANT_REF, &mut bytes).is_ok() {
                guest.learn::<()>(Ok(u64::from_ne_bytes(bytes[8..16].try_into().unwrap())));
            }
        }
        8..10 => {
            let (length, prot, flags, offset) = (number(), number(), number(), number());
            let mapped = guest.dev.mmap(length, prot as u32, flags as u32, offset);
            guest.learn(mapped.map(|addr| addr as u64));
        }
        10 => {
            let (length, prot, flags, offset) = (number(), number(), number(), number());
            let mapped = guest.alloc.mmap(length, prot as u32, flags as u32, offset);
            guest.learn(mapped.map(|addr| addr as u64));
        }
        11 => {
            let (addr, length) = (number() as usize, number());
            let _ = guest.dev.munmap(addr, length);
            let _ = guest.alloc.munmap(addr, length);
        }
        12 | 13 => {
            let (addr, len) = (number() as usize, (number() % 9000) as usize);
            let mut bytes = vec![input.byte(); len];
            let _ = (guest.dev.read(addr, &mut bytes), guest.alloc.read(addr, &mut bytes));
            let _ = (guest.tab.read(addr, &mut bytes), guest.shr.read(addr, &mut bytes));
            let _ = (guest.dev.write(addr, &bytes), guest.alloc.write(addr, &bytes));
            let _ = (guest.tab.write(addr, &bytes), guest.shr.write(addr, &bytes));
        }
        14 => {
            let (domid, count) = (number() as u16, (number() % 5) as usize);
            let mut grefs = vec![GrantRef(0); count];
            let shared = guest.shr.share_pages(domid % 4, &mut grefs, count % 2 == 0);
            offered.extend(grefs.iter().filter(|gref| gref.0 != 0).map(|gref| u64::from(gref.0)));
            guest.learn(shared.map(|addr| addr as u64));
            let (offset, port) = (number() as u32, PortNumber(number() as u32));
            let shared = guest.shr.share_page_notify(domid % 4, true, offset, Some(port));
            guest.learn(shared.map(|(addr, _)| addr as u64));
        }
        15 => {
            let grefs: Vec<_> = offered.iter().rev().take(3).map(|gref| *gref as u32).collect();
            let mapped =
                guest.tab.map_domain_grant_refs(number() as u16 % 4, &grefs, number() as u32);
            guest.learn(mapped.map(|addr| addr as u64));
            let gref = grefs.first().copied().unwrap_or(number() as u32);
            let (offset, port) = (number() as u32, PortNumber(number() as u32));
            let prot = number() as u32;
            let mapped = guest.tab.map_grant_ref_notify(1, gref, prot, offset, Some(port));
            guest.learn(mapped.map(|addr| addr as u64));
        }
        16 => {
            let (addr, count) = (number() as usize, number() as u32);
            let _ = (guest.tab.unmap(addr, count), guest.shr.unshare(addr, count));
        }
        17 if input.byte() == 0 => {
            let _ = (guest.dev.close(), guest.tab.close());
        }
        17 if input.byte() == 0 => {
            let _ = (guest.alloc.close(), guest.shr.close());
        }
        _ => {
            let pick = input.byte();
            let known_command = commands.get(usize::from(pick) % 9).copied();
            let command = known_command.unwrap_or_else(|| input.u64() as u32);
            let len = usize::from(input.byte() % 80);
            let mut bytes: Vec<u8> = Vec::new();
            while bytes.len() < len {
                bytes.extend(input.number(&known).to_ne_bytes());
            }
            bytes.truncate(len);
            let _ = guest.dev.ioctl(command, &mut bytes);
            let _ = guest.alloc.ioctl(command, &mut bytes);
        }
    }
}
