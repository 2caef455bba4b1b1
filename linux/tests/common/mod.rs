// SPDX-License-Identifier: MIT OR Apache-2.0
//! An ioctl's argument, and helpers to open the device files, shared by several test files.
#![allow(dead_code, reason = "every test file uses another part of it")]

#[path = "../../../drivers/tests/common/mod.rs"]
mod guests;

use std::mem::{offset_of, size_of};

use drivers::gntalloc::Export;
use fake_xen::{FakeXen, Pair};
use linux::abi::gntalloc::IoctlGntallocAllocGref;
use linux::abi::gntdev::{IoctlGntdevMapGrantRef, IoctlGntdevUnmapGrantRef};
use linux::ioctl::{GntallocFile, GntdevFile, PROT_READ, PROT_WRITE};

pub use self::guests::*;

/// The size of a page, in the type of lengths.
pub const PAGE: u64 = 4096;
/// The protection of a writable mapping.
pub const RW: u32 = PROT_READ | PROT_WRITE;

/// A structure in the caller's memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg(pub Vec<u8>);

impl Arg {
    pub fn new<T>(more: usize) -> Self {
        Self(vec![0; size_of::<T>() + more])
    }

    pub fn put(mut self, at: usize, value: &[u8]) -> Self {
        self.0[at..at + value.len()].copy_from_slice(value);
        self
    }

    pub fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.0[at..at + 4].try_into().unwrap())
    }

    pub fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.0[at..at + 8].try_into().unwrap())
    }
}

pub fn map_arg(refs: &[(u32, u32)]) -> Arg {
    let mut arg = Arg::new::<IoctlGntdevMapGrantRef>(8 * refs.len().saturating_sub(1))
        .put(0, &(refs.len() as u32).to_ne_bytes());
    for (i, (domid, gref)) in refs.iter().enumerate() {
        let at = offset_of!(IoctlGntdevMapGrantRef, refs) + 8 * i;
        arg = arg.put(at, &domid.to_ne_bytes()).put(at + 4, &gref.to_ne_bytes());
    }
    arg
}

pub fn run_arg(index: u64, count: u32) -> Arg {
    Arg::new::<IoctlGntdevUnmapGrantRef>(0)
        .put(0, &index.to_ne_bytes())
        .put(8, &count.to_ne_bytes())
}

pub fn alloc_arg(domid: u16, flags: u16, count: u32) -> Arg {
    Arg::new::<IoctlGntallocAllocGref>(4 * count.saturating_sub(1).min(100) as usize)
        .put(0, &domid.to_ne_bytes())
        .put(2, &flags.to_ne_bytes())
        .put(4, &count.to_ne_bytes())
}

/// Shares pages of alice's with bob, for writing. Returns them, and the names that an ioctl takes.
pub fn share(pair: &Pair, pages: u32) -> (Export<FakeXen>, Vec<(u32, u32)>) {
    let export = pair.alice.share(&pair.bob, pages);
    let refs = export.grefs().map(|gref| (ALICE.into(), gref.0)).collect();
    (export, refs)
}

pub fn open_gntdev(pair: &Pair) -> GntdevFile<FakeXen> {
    GntdevFile::open(&pair.bob.gntdev).unwrap()
}

pub fn open_gntalloc(pair: &Pair) -> GntallocFile<FakeXen> {
    GntallocFile::open(&pair.alice.gntalloc).unwrap()
}
