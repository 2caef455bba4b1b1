// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures the same life of a grant through the other two faces: plain indices, as the shell uses
//! them, and Linux's ioctls on top of those.
//!
//! Frames are clean, as in `share-clean`. A word is read by its address, at every call through all
//! checks.

use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;

use drivers::gntalloc::FLAG_WRITABLE;
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::{Access, ClaimedGrant, Error, GrantRef, Index, Pages};
use linux::abi::{gntalloc, gntdev};
use linux::ioctl::{GntallocFile, GntdevFile, MAP_SHARED, PROT_READ, PROT_WRITE};
use tasks::verdict::Why;

use super::meter::{Least, Meter};
use super::{CALLS, Rows};

/// What both faces do with grants.
trait Face {
    /// The rows' names: share, reserve, map, unmap, remove, end, and a word that is read.
    const NAMES: [&'static str; 7];

    /// Shares as many pages as there are references, and returns the first one's index.
    fn share(&mut self, grefs: &mut [GrantRef]) -> Result<u64, Error>;
    fn reserve(&mut self, grants: &[ClaimedGrant]) -> Result<u64, Error>;
    fn map(&mut self, index: u64, pages: u32) -> Result<usize, Error>;
    fn read_word(&self, addr: usize) -> Result<u32, Error>;
    fn unmap(&mut self, addr: usize, pages: u32) -> Result<(), Error>;
    fn remove(&mut self, index: u64, pages: u32) -> Result<(), Error>;
    fn end(&mut self, index: u64, pages: u32) -> Result<(), Error>;
}

/// Measures both, in calls for `n` pages; words only once.
pub fn measure<X: Platform>(meter: &Meter<'_, X>, n: u32, rows: &mut Rows) -> Result<(), Why> {
    let services = meter.services();
    let (granter, mapper) = (services.gntalloc.open_indexed()?, services.gntdev.open_indexed()?);
    let peer = services.domid.get();
    through(meter, n, Plain { peer, granter, mapper }, rows)?;
    let granter = GntallocFile::open(&services.gntalloc)?;
    let mapper = GntdevFile::open(&services.gntdev)?;
    // The largest argument is that of a map: 8 bytes a grant.
    let bytes = vec![0; size_of::<gntdev::IoctlGntdevMapGrantRef>() + 8 * n as usize];
    through(meter, n, Ioctl { peer, granter, mapper, bytes }, rows)
}

fn through<X: Platform, F: Face>(
    meter: &Meter<'_, X>,
    n: u32,
    mut face: F,
    rows: &mut Rows,
) -> Result<(), Why> {
    let mut least = [Least::NONE; 6];
    let mut grefs = vec![GrantRef(0); n as usize];
    for call in 0..=CALLS {
        if call == 1 {
            // The first call wasn't warm.
            least = [Least::NONE; 6];
        }
        let [share, reserve, map, unmap, remove, end] = &mut least;
        let shared = meter.time(share, || face.share(&mut grefs))?;
        let grants: Vec<ClaimedGrant> = grefs.iter().map(|gref| meter.claim(*gref)).collect();
        let reserved = meter.time(reserve, || face.reserve(&grants))?;
        let addr = meter.time(map, || face.map(reserved, n))?;
        if call == CALLS && n == 1 {
            let word = || face.read_word(black_box(addr + 4)).map(|word| _ = black_box(word));
            let [.., name] = F::NAMES;
            rows.add(name, 1, meter.each(word)?, None)?;
        }
        meter.time(unmap, || face.unmap(addr, n))?;
        meter.time(remove, || face.remove(reserved, n))?;
        meter.time(end, || face.end(shared, n))?;
    }
    for (name, least) in F::NAMES.into_iter().zip(least) {
        rows.add(name, n, least, None)?;
    }
    Ok(())
}

/// The drivers' devices by plain index.
struct Plain<X: Platform> {
    peer: u16,
    granter: drivers::gntalloc::IndexDevice<X>,
    mapper: drivers::gntdev::IndexDevice<X>,
}

impl<X: Platform> Face for Plain<X> {
    const NAMES: [&'static str; 7] = [
        "share-plain",
        "reserve-plain",
        "map-plain",
        "unmap-plain",
        "remove-plain",
        "end-plain",
        "read-word-plain",
    ];

    fn share(&mut self, grefs: &mut [GrantRef]) -> Result<u64, Error> {
        self.granter.alloc_gref(self.peer, FLAG_WRITABLE, grefs).map(|index| index.0)
    }

    fn reserve(&mut self, grants: &[ClaimedGrant]) -> Result<u64, Error> {
        self.mapper.map_grant_ref(grants).map(|index| index.0)
    }

    fn map(&mut self, index: u64, pages: u32) -> Result<usize, Error> {
        self.mapper.mmap(Index(index), Pages(pages), true, Access::ReadWrite)
    }

    fn read_word(&self, addr: usize) -> Result<u32, Error> {
        let mut word = [0; 4];
        self.mapper.read(addr, &mut word)?;
        Ok(u32::from_ne_bytes(word))
    }

    fn unmap(&mut self, addr: usize, pages: u32) -> Result<(), Error> {
        self.mapper.munmap(addr, Pages(pages))
    }

    fn remove(&mut self, index: u64, pages: u32) -> Result<(), Error> {
        self.mapper.unmap_grant_ref(Index(index), Pages(pages))
    }

    fn end(&mut self, index: u64, pages: u32) -> Result<(), Error> {
        self.granter.dealloc_gref(Index(index), Pages(pages))
    }
}

/// Linux's files. The caller's part of an ioctl, filling in its argument, is in the figures.
struct Ioctl<X: Platform> {
    peer: u16,
    granter: GntallocFile<X>,
    mapper: GntdevFile<X>,
    bytes: Vec<u8>,
}

impl<X: Platform> Ioctl<X> {
    fn put(&mut self, at: usize, field: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + field.len()) {
            place.copy_from_slice(field);
        }
    }

    fn u32(&self, at: usize) -> u32 {
        self.bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |b| u32::from_ne_bytes(*b))
    }

    /// The index that a call returned; in both structures that have one, it is at offset 8.
    fn index(&self) -> u64 {
        self.bytes
            .get(8..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |b| u64::from_ne_bytes(*b))
    }

    /// An index and a number of pages, as the calls that take a run have them.
    fn put_run(&mut self, index: u64, pages: u32) {
        self.put(0, &index.to_ne_bytes());
        self.put(8, &pages.to_ne_bytes());
    }
}

impl<X: Platform> Face for Ioctl<X> {
    const NAMES: [&'static str; 7] = [
        "share-ioctl",
        "reserve-ioctl",
        "map-ioctl",
        "unmap-ioctl",
        "remove-ioctl",
        "end-ioctl",
        "read-word-ioctl",
    ];

    fn share(&mut self, grefs: &mut [GrantRef]) -> Result<u64, Error> {
        self.put(0, &self.peer.to_ne_bytes());
        self.put(2, &FLAG_WRITABLE.to_ne_bytes());
        self.put(4, &(grefs.len() as u32).to_ne_bytes());
        self.granter.ioctl(gntalloc::IOCTL_GNTALLOC_ALLOC_GREF, &mut self.bytes)?;
        for (at, gref) in grefs.iter_mut().enumerate() {
            *gref = GrantRef(self.u32(16 + 4 * at));
        }
        Ok(self.index())
    }

    fn reserve(&mut self, grants: &[ClaimedGrant]) -> Result<u64, Error> {
        self.put(0, &(grants.len() as u32).to_ne_bytes());
        for (at, grant) in grants.iter().enumerate() {
            self.put(16 + 8 * at, &u32::from(grant.domid.0).to_ne_bytes());
            self.put(20 + 8 * at, &grant.gref.0.to_ne_bytes());
        }
        self.mapper.ioctl(gntdev::IOCTL_GNTDEV_MAP_GRANT_REF, &mut self.bytes)?;
        Ok(self.index())
    }

    fn map(&mut self, index: u64, pages: u32) -> Result<usize, Error> {
        let length = u64::from(pages) * PAGE_SIZE as u64;
        self.mapper.mmap(length, PROT_READ | PROT_WRITE, MAP_SHARED, index)
    }

    fn read_word(&self, addr: usize) -> Result<u32, Error> {
        let mut word = [0; 4];
        self.mapper.read(addr, &mut word)?;
        Ok(u32::from_ne_bytes(word))
    }

    fn unmap(&mut self, addr: usize, pages: u32) -> Result<(), Error> {
        self.mapper.munmap(addr, u64::from(pages) * PAGE_SIZE as u64)
    }

    fn remove(&mut self, index: u64, pages: u32) -> Result<(), Error> {
        self.put_run(index, pages);
        self.mapper.ioctl(gntdev::IOCTL_GNTDEV_UNMAP_GRANT_REF, &mut self.bytes)
    }

    fn end(&mut self, index: u64, pages: u32) -> Result<(), Error> {
        self.put_run(index, pages);
        self.granter.ioctl(gntalloc::IOCTL_GNTALLOC_DEALLOC_GREF, &mut self.bytes)
    }
}
