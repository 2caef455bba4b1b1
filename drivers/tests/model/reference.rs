//! The reference model: what the contract says, by the plainest means.
//!
//! Lists and maps, searched from end to end; no handle of Xen's, no cache, no lazy anything but
//! parked pages, which may come back at any call that could make use of them. What the services
//! are free to choose (references, indices, addresses) the model is told, and checks.

use std::collections::{BTreeMap, BTreeSet};

use drivers::{Errno, Error};

/// Bytes of each page that the model keeps.
pub const CELLS: [usize; 4] = [0, 1, 2048, 4095];
/// Pages of memory, grant entries for use, and mappings that each domain may have.
pub const MEMORY: usize = 40;
pub const ENTRIES: usize = 504;
pub const MAPPINGS: usize = 255;
pub const PAGE: u64 = 4096;

pub type DomainId = usize;
pub type Gref = u32;
pub type FrameId = usize;

/// How a call ended that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub errno: Errno,
    /// Xen's status and the reference.
    pub grant: Option<(i16, Gref)>,
}

pub type Answer<T> = Result<T, Refusal>;

pub fn refusal(errno: Errno) -> Refusal {
    Refusal { errno, grant: None }
}

pub fn answer<T>(result: Result<T, Error>) -> Answer<T> {
    result.map_err(|error| match error {
        Error::Refused { status, gref } => {
            Refusal { errno: error.errno(), grant: Some((status.0, gref.0)) }
        }
        _ => refusal(error.errno()),
    })
}

/// A granted page, at its granter's.
#[derive(Clone, Debug)]
pub struct Page {
    pub peer: u16,
    pub writable: bool,
    pub file: usize,
    pub index: u64,
    pub listed: bool,
    pub locals: usize,
    pub notify: Notify,
    pub frame: FrameId,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// The byte to clear: in index space on gntdev, in the page on gntalloc.
    pub byte: Option<u64>,
    pub event: bool,
}

/// One index of a gntdev.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub domid: u16,
    pub gref: Gref,
    /// Which reservation it belongs to.
    pub ticket: usize,
    pub mapped: Option<Mapped>,
}

#[derive(Clone, Copy, Debug)]
pub struct Mapped {
    pub start: u64,
    pub count: u64,
    pub addr: usize,
    pub writable: bool,
    pub frame: FrameId,
}

#[derive(Clone, Debug)]
pub struct Dev {
    pub closed: bool,
    pub limit: u64,
    /// By index, in pages.
    pub slots: BTreeMap<u64, Slot>,
    pub notifies: BTreeMap<usize, Notify>,
}

/// A local mapping of granted pages.
#[derive(Clone, Debug)]
pub struct Local {
    pub file: usize,
    pub addr: usize,
    pub grefs: Vec<Gref>,
    pub writable: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct AllocFile {
    pub closed: bool,
    pub next_index: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Domain {
    pub alive: bool,
    pub limit: usize,
    /// Every page that is charged, by reference.
    pub pages: BTreeMap<Gref, Page>,
    pub files: BTreeMap<usize, AllocFile>,
    pub locals: Vec<Local>,
    pub devs: BTreeMap<usize, Dev>,
    /// Events sent so far.
    pub sent: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub domains: Vec<Domain>,
    pub frames: Vec<[u8; CELLS.len()]>,
    tickets: usize,
}

/// Which of the cells an offset in a page is.
pub fn cell(offset: u64) -> Option<usize> {
    CELLS.iter().position(|cell| *cell as u64 == offset)
}

impl Model {
    /// How often the peer maps a page, for reading and for writing.
    pub fn pins(&self, granter: DomainId, gref: Gref) -> (usize, usize) {
        let Some(page) = self.domains[granter].pages.get(&gref) else {
            return (0, 0);
        };
        let Some(peer) = self.domains.get(usize::from(page.peer)).filter(|peer| peer.alive) else {
            return (0, 0);
        };
        let slots = peer.devs.values().flat_map(|dev| dev.slots.values());
        let ours = slots.filter(|slot| slot.domid as usize == granter && slot.gref == gref);
        let (mut readers, mut writers) = (0, 0);
        // A slot may name a reference that was used for another page before.
        for mapped in ours.filter_map(|slot| slot.mapped).filter(|m| m.frame == page.frame) {
            *(if mapped.writable { &mut writers } else { &mut readers }) += 1;
        }
        (readers, writers)
    }

    fn is_pinned(&self, granter: DomainId, gref: Gref) -> bool {
        self.pins(granter, gref) != (0, 0)
    }

    /// Pages that only the peer holds on to, and those that nobody does and that may be reaped.
    pub fn parked(&self, domain: DomainId) -> (Vec<Gref>, Vec<Gref>) {
        let pages = &self.domains[domain].pages;
        let parked = pages.iter().filter(|(_, page)| !page.listed && page.locals == 0);
        parked.map(|(gref, _)| *gref).partition(|gref| self.is_pinned(domain, *gref))
    }

    /// Takes note of which parked pages came back: none that the peer maps.
    pub fn reaped(&mut self, domain: DomainId, left: &BTreeSet<Gref>) {
        for gref in self.parked(domain).1 {
            if !left.contains(&gref) {
                self.domains[domain].pages.remove(&gref);
            }
        }
    }

    pub fn used_memory(&self, domain: DomainId) -> usize {
        self.domains[domain].pages.len()
    }

    // gntalloc

    pub fn alloc_gref(
        &mut self,
        domain: DomainId,
        file: usize,
        (peer, flags, count): (u16, u16, u32),
        got: Answer<(u64, Vec<Gref>)>,
    ) {
        let busy = self.used_memory(domain) - self.parked(domain).1.len();
        let (d, count) = (&mut self.domains[domain], count as usize);
        let expected = if d.files[&file].closed {
            Err(refusal(Errno::EBADF))
        } else if peer >= 0x7FF0 || flags > 1 {
            Err(refusal(Errno::EINVAL))
        } else if count == 0 {
            Ok(())
        } else if busy + count > d.limit || busy + count > ENTRIES {
            Err(refusal(Errno::ENOSPC))
        } else if busy + count > MEMORY {
            Err(refusal(Errno::ENOMEM))
        } else {
            Ok(())
        };
        assert_eq!(got.as_ref().map(drop), expected.as_ref().map(drop), "alloc_gref");
        let Ok((index, grefs)) = got else {
            return;
        };
        let handle = d.files.get_mut(&file).expect("open");
        assert_eq!(index % PAGE, 0);
        assert!(index / PAGE >= handle.next_index, "an index was used twice");
        handle.next_index = index / PAGE + count as u64;
        for (i, gref) in grefs.into_iter().enumerate() {
            assert!(gref >= 8, "a reserved reference");
            self.frames.push([0; CELLS.len()]);
            let page = Page {
                peer,
                writable: flags == 1,
                file,
                index: index / PAGE + i as u64,
                listed: true,
                locals: 0,
                notify: Notify::default(),
                frame: self.frames.len() - 1,
            };
            // A page that was reaped by this very call may have had the same reference.
            d.pages.insert(gref, page);
        }
    }

    /// The references of a run of listed pages.
    fn run(&self, domain: DomainId, file: usize, index: u64, count: u32) -> Option<Vec<Gref>> {
        if count == 0 || !index.is_multiple_of(PAGE) {
            return None;
        }
        let pages = &self.domains[domain].pages;
        let find = |index| {
            let mut pages = pages.iter();
            let listed = |page: &Page| page.listed && page.file == file && page.index == index;
            pages.find(|(_, page)| listed(page)).map(|(gref, _)| *gref)
        };
        (0..u64::from(count)).map(|i| find((index / PAGE).checked_add(i)?)).collect()
    }

    pub fn dealloc_gref(
        &mut self,
        domain: DomainId,
        file: usize,
        index: u64,
        count: u32,
        got: Answer<()>,
    ) {
        if self.domains[domain].files[&file].closed {
            return assert_eq!(got, Err(refusal(Errno::EBADF)));
        }
        match self.run(domain, file, index, count) {
            None => assert_eq!(got, Err(refusal(Errno::EINVAL)), "dealloc_gref"),
            Some(grefs) => {
                assert_eq!(got, Ok(()), "dealloc_gref");
                grefs.into_iter().for_each(|gref| self.unlist(domain, gref));
            }
        }
    }

    fn unlist(&mut self, domain: DomainId, gref: Gref) {
        self.domains[domain].pages.get_mut(&gref).expect("listed").listed = false;
        self.let_go(domain, gref);
    }

    /// The end of a page's local life, if nobody here holds it.
    fn let_go(&mut self, domain: DomainId, gref: Gref) {
        let pinned = self.is_pinned(domain, gref);
        let d = &mut self.domains[domain];
        let page = d.pages.get_mut(&gref).expect("charged");
        if page.listed || page.locals > 0 {
            return;
        }
        let notify = std::mem::take(&mut page.notify);
        if let Some(byte) = notify.byte.and_then(cell) {
            self.frames[page.frame][byte] = 0;
        }
        d.sent += u64::from(notify.event);
        if !pinned {
            d.pages.remove(&gref);
        }
    }

    pub fn alloc_notify(
        &mut self,
        domain: DomainId,
        file: usize,
        (index, action, port): (u64, u32, bool),
        got: Answer<()>,
    ) {
        let run = self.run(domain, file, index - index % PAGE, 1);
        let d = &mut self.domains[domain];
        let expected = if d.files[&file].closed {
            Err(refusal(Errno::EBADF))
        } else if run.is_none() {
            Err(refusal(Errno::ENOENT))
        } else if action > 3 || (action & 2 != 0 && !port) {
            Err(refusal(Errno::EINVAL))
        } else {
            Ok(())
        };
        assert_eq!(got, expected, "gntalloc notify");
        if let (Ok(()), Some(run)) = (got, run) {
            let byte = (action & 1 != 0).then_some(index % PAGE);
            let notify = Notify { byte, event: action & 2 != 0 };
            d.pages.get_mut(&run[0]).expect("listed").notify = notify;
        }
    }

    pub fn alloc_mmap(
        &mut self,
        domain: DomainId,
        file: usize,
        (index, count, shared, writable): (u64, u32, bool, bool),
        got: Answer<usize>,
    ) {
        let run = self.run(domain, file, index, count);
        let d = &mut self.domains[domain];
        let expected = if d.files[&file].closed {
            Err(refusal(Errno::EBADF))
        } else if !shared {
            Err(refusal(Errno::EINVAL))
        } else {
            run.ok_or(refusal(Errno::ENOENT))
        };
        match (got, expected) {
            (Ok(addr), Ok(grefs)) => {
                for gref in &grefs {
                    d.pages.get_mut(gref).expect("listed").locals += 1;
                }
                d.locals.push(Local { file, addr, grefs, writable });
            }
            (got, expected) => assert_eq!(got.map(drop), expected.map(drop), "gntalloc mmap"),
        }
    }

    pub fn alloc_munmap(
        &mut self,
        domain: DomainId,
        file: usize,
        addr: usize,
        pages: usize,
        got: Answer<()>,
    ) {
        let d = &mut self.domains[domain];
        let whole =
            |local: &Local| local.file == file && local.addr == addr && local.grefs.len() == pages;
        let Some(place) = d.locals.iter().position(whole) else {
            return assert_eq!(got, Err(refusal(Errno::EINVAL)), "gntalloc munmap");
        };
        assert_eq!(got, Ok(()), "gntalloc munmap");
        for gref in d.locals.remove(place).grefs {
            self.domains[domain].pages.get_mut(&gref).expect("used").locals -= 1;
            self.let_go(domain, gref);
        }
        self.finish_alloc_close(domain, file);
    }

    pub fn alloc_close(&mut self, domain: DomainId, file: usize, got: Answer<()>) {
        let handle = self.domains[domain].files.get_mut(&file).expect("a file");
        let expected = if handle.closed { Err(refusal(Errno::EBADF)) } else { Ok(()) };
        assert_eq!(got, expected, "gntalloc close");
        handle.closed = true;
        self.finish_alloc_close(domain, file);
    }

    /// A closed file's pages are let go of with its last mapping.
    fn finish_alloc_close(&mut self, domain: DomainId, file: usize) {
        let d = &self.domains[domain];
        if !d.files[&file].closed || d.locals.iter().any(|local| local.file == file) {
            return;
        }
        let listed = d.pages.iter().filter(|(_, page)| page.file == file && page.listed);
        for gref in listed.map(|(gref, _)| *gref).collect::<Vec<_>>() {
            self.unlist(domain, gref);
        }
    }

    // gntdev

    pub fn map_grant_ref(
        &mut self,
        domain: DomainId,
        dev: usize,
        grants: &[(u16, Gref)],
        got: Answer<u64>,
    ) {
        let ticket = self.tickets;
        self.tickets += 1;
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        let count = grants.len() as u64;
        let is_free = |first: u64| (first..first + count).all(|i| !d.slots.contains_key(&i));
        let expected = if d.closed {
            Err(refusal(Errno::EBADF))
        } else if count == 0 {
            Err(refusal(Errno::EINVAL))
        } else if !(0..(d.limit + 1).saturating_sub(count)).any(is_free) {
            Err(refusal(Errno::ENOMEM))
        } else {
            Ok(())
        };
        assert_eq!(got.map(drop), expected, "map_grant_ref");
        let Ok(index) = got else {
            return;
        };
        assert_eq!(index % PAGE, 0);
        assert!(is_free(index / PAGE) && index / PAGE + count <= d.limit, "not a free run");
        for (i, (domid, gref)) in grants.iter().enumerate() {
            let slot = Slot { domid: *domid, gref: *gref, ticket, mapped: None };
            d.slots.insert(index / PAGE + i as u64, slot);
        }
    }

    /// What Xen says to an access of `mapper` to a grant.
    pub fn xen(
        &self,
        mapper: DomainId,
        (domid, gref): (u16, Gref),
        writable: bool,
        (readers, writers): (usize, usize),
    ) -> Result<FrameId, i16> {
        let Some(granter) = self.domains.get(usize::from(domid)).filter(|d| d.alive) else {
            return Err(-2);
        };
        if gref as usize >= ENTRIES + 8 {
            return Err(-3);
        }
        let page = granter.pages.get(&gref).ok_or(-1i16)?;
        let (pinned_ro, pinned_rw) = self.pins(domid.into(), gref);
        let pins = if writable { pinned_rw + writers } else { pinned_ro + readers };
        if page.peer as usize != mapper || (writable && !page.writable) || pins >= 128 {
            return Err(-1);
        }
        Ok(page.frame)
    }

    pub fn mmap(
        &mut self,
        domain: DomainId,
        dev: usize,
        (index, count, shared, writable): (u64, u32, bool, bool),
        got: Answer<usize>,
    ) {
        let d = &self.domains[domain].devs[&dev];
        let (first, count) = (index / PAGE, u64::from(count));
        let run = first..first.saturating_add(count);
        let reserved = |i| d.slots.get(&i).is_some_and(|slot: &Slot| slot.mapped.is_none());
        let expected = if d.closed {
            Err(refusal(Errno::EBADF))
        } else if count == 0 || !index.is_multiple_of(PAGE) || run.end > d.limit {
            Err(refusal(Errno::ENXIO))
        } else if (writable && !shared) || !run.clone().all(reserved) {
            Err(refusal(Errno::EINVAL))
        } else {
            self.map_all(domain, dev, run.clone(), writable)
        };
        match (got, expected) {
            (Ok(addr), Ok(frames)) => {
                for (i, frame) in run.zip(frames) {
                    let mapped = Mapped { start: first, count, addr, writable, frame };
                    let d = self.domains[domain].devs.get_mut(&dev).expect("open");
                    d.slots.get_mut(&i).expect("reserved").mapped = Some(mapped);
                }
            }
            (got, expected) => assert_eq!(got.map(drop), expected.map(drop), "gntdev mmap"),
        }
    }

    /// What Xen says to a batch: all frames, or the first refusal.
    fn map_all(
        &self,
        domain: DomainId,
        dev: usize,
        run: std::ops::Range<u64>,
        writable: bool,
    ) -> Answer<Vec<FrameId>> {
        let d = &self.domains[domain];
        let slots = d.devs.values().flat_map(|dev| dev.slots.values());
        let mut handles = slots.filter(|slot| slot.mapped.is_some()).count();
        let (mut frames, mut refused) = (Vec::new(), None);
        let mut batch = Vec::new();
        for i in run {
            let slot = d.devs[&dev].slots[&i];
            let grant = (slot.domid, slot.gref);
            let before = batch.iter().filter(|other| **other == grant).count();
            let pins = if writable { (0, before) } else { (before, 0) };
            let known = self.domains.get(usize::from(slot.domid)).is_some_and(|d| d.alive);
            let verdict = if known && handles >= MAPPINGS {
                Err(-13)
            } else {
                self.xen(domain, grant, writable, pins)
            };
            match verdict {
                Ok(frame) => {
                    handles += 1;
                    batch.push(grant);
                    frames.push(frame);
                }
                Err(status) => refused = refused.or(Some((status, slot.gref))),
            }
        }
        match refused {
            None => Ok(frames),
            Some((status, gref)) => {
                let errno = if status == -13 { Errno::ENOMEM } else { Errno::EINVAL };
                Err(Refusal { errno, grant: Some((status, gref)) })
            }
        }
    }

    pub fn munmap(
        &mut self,
        domain: DomainId,
        dev: usize,
        addr: usize,
        pages: u64,
        got: Answer<()>,
    ) {
        let d = &self.domains[domain].devs[&dev];
        let mut mapped = d.slots.values().filter_map(|slot| slot.mapped);
        let Some(found) = mapped.find(|mapped| mapped.addr == addr && mapped.count == pages) else {
            return assert_eq!(got, Err(refusal(Errno::EINVAL)), "gntdev munmap");
        };
        assert_eq!(got, Ok(()), "gntdev munmap");
        self.unmap_run(domain, dev, found.start, found.count);
        self.finish_close(domain, dev);
    }

    /// Clears the bytes that are to be cleared in a run, then takes its pages away.
    fn unmap_run(&mut self, domain: DomainId, dev: usize, start: u64, count: u64) {
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        let run = start..start + count;
        for notify in d.notifies.values_mut() {
            let Some(byte) = notify.byte.take_if(|byte| run.contains(&(*byte / PAGE))) else {
                continue;
            };
            let mapped = d.slots[&(byte / PAGE)].mapped.expect("in the run");
            if let Some(cell) = cell(byte % PAGE).filter(|_| mapped.writable) {
                self.frames[mapped.frame][cell] = 0;
            }
        }
        for i in run {
            d.slots.get_mut(&i).expect("reserved").mapped = None;
        }
    }

    pub fn unmap_grant_ref(
        &mut self,
        domain: DomainId,
        dev: usize,
        index: u64,
        count: u32,
        got: Answer<()>,
    ) {
        let d = &self.domains[domain].devs[&dev];
        let first = index / PAGE;
        let run = first..first.saturating_add(count.into());
        let verdict = |i| match d.slots.get(&i) {
            None => Err(refusal(Errno::EINVAL)),
            Some(slot) if slot.mapped.is_some() => Err(refusal(Errno::EBUSY)),
            Some(_) => Ok(()),
        };
        let expected = if d.closed {
            Err(refusal(Errno::EBADF))
        } else if count == 0 {
            Ok(())
        } else if !index.is_multiple_of(PAGE) || run.end > d.limit {
            Err(refusal(Errno::EINVAL))
        } else {
            run.clone().try_for_each(verdict)
        };
        assert_eq!(got, expected, "unmap_grant_ref");
        if got.is_ok() && count > 0 {
            run.for_each(|i| self.free_slot(domain, dev, i));
        }
    }

    /// Frees an index; the last one of a reservation rings.
    fn free_slot(&mut self, domain: DomainId, dev: usize, index: u64) {
        let d = &mut self.domains[domain];
        let handle = d.devs.get_mut(&dev).expect("a device");
        let ticket = handle.slots.remove(&index).expect("reserved").ticket;
        if let Some(notify) = handle.notifies.get_mut(&ticket) {
            notify.byte.take_if(|byte| *byte / PAGE == index);
        }
        if handle.slots.values().all(|slot| slot.ticket != ticket)
            && let Some(notify) = handle.notifies.remove(&ticket)
        {
            d.sent += u64::from(notify.event);
        }
    }

    pub fn get_offset(&self, domain: DomainId, dev: usize, addr: usize, got: Answer<(u64, u32)>) {
        let d = &self.domains[domain];
        let at = |dev: &Dev| {
            let covers = |m: &Mapped| (m.addr..m.addr + (m.count * PAGE) as usize).contains(&addr);
            dev.slots.values().filter_map(|slot| slot.mapped).find(covers)
        };
        let expected = if d.devs[&dev].closed {
            Err(refusal(Errno::EBADF))
        } else if let Some(mapped) = at(&d.devs[&dev]) {
            let offset = (mapped.start * PAGE, mapped.count as u32);
            if mapped.addr == addr { Ok(offset) } else { Err(refusal(Errno::EINVAL)) }
        } else if d.devs.values().any(|dev| at(dev).is_some()) {
            Err(refusal(Errno::EINVAL))
        } else {
            Err(refusal(Errno::EFAULT))
        };
        assert_eq!(got, expected, "get_offset");
    }

    pub fn set_max_grants(&mut self, domain: DomainId, dev: usize, max: u32, got: Answer<()>) {
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        let expected = if d.closed {
            Err(refusal(Errno::EBADF))
        } else if !d.slots.is_empty() {
            Err(refusal(Errno::EBUSY))
        } else if max == 0 || max > 1 << 18 {
            Err(refusal(Errno::EINVAL))
        } else {
            Ok(())
        };
        assert_eq!(got, expected, "set_max_grants");
        if got.is_ok() {
            d.limit = max.into();
        }
    }

    pub fn dev_notify(
        &mut self,
        domain: DomainId,
        dev: usize,
        (index, action, port): (u64, u32, bool),
        got: Answer<()>,
    ) {
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        let slot = d.slots.get(&(index / PAGE));
        let expected = if d.closed {
            Err(refusal(Errno::EBADF))
        } else if action > 3 || (action & 2 != 0 && !port) {
            Err(refusal(Errno::EINVAL))
        } else {
            match slot {
                None => Err(refusal(Errno::ENOENT)),
                Some(Slot { mapped: Some(Mapped { writable: false, .. }), .. })
                    if action & 1 != 0 =>
                {
                    Err(refusal(Errno::EINVAL))
                }
                Some(_) => Ok(()),
            }
        };
        assert_eq!(got, expected, "gntdev notify");
        if let (Ok(()), Some(slot)) = (got, slot) {
            let byte = (action & 1 != 0).then_some(index);
            d.notifies.insert(slot.ticket, Notify { byte, event: action & 2 != 0 });
        }
    }

    pub fn dev_close(&mut self, domain: DomainId, dev: usize, got: Answer<()>) {
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        let expected = if d.closed { Err(refusal(Errno::EBADF)) } else { Ok(()) };
        assert_eq!(got, expected, "gntdev close");
        d.closed = true;
        self.finish_close(domain, dev);
    }

    /// A closed device's reservations go with its last mapping.
    fn finish_close(&mut self, domain: DomainId, dev: usize) {
        let d = &self.domains[domain].devs[&dev];
        if d.closed && d.slots.values().all(|slot| slot.mapped.is_none()) {
            for index in d.slots.keys().copied().collect::<Vec<_>>() {
                self.free_slot(domain, dev, index);
            }
        }
    }

    // The end

    /// A file of a process that ended: its mappings go, and it's closed.
    pub fn drop_dev(&mut self, domain: DomainId, dev: usize) {
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        d.closed = true;
        let mapped = d.slots.values().filter_map(|slot| slot.mapped);
        let starts: BTreeMap<_, _> = mapped.map(|mapped| (mapped.start, mapped.count)).collect();
        for (start, count) in starts {
            self.unmap_run(domain, dev, start, count);
        }
        self.finish_close(domain, dev);
        self.domains[domain].devs.remove(&dev);
    }

    pub fn drop_file(&mut self, domain: DomainId, file: usize) {
        self.domains[domain].files.get_mut(&file).expect("a file").closed = true;
        let locals = &mut self.domains[domain].locals;
        let ours: Vec<_> = locals.extract_if(.., |local| local.file == file).collect();
        for gref in ours.into_iter().flat_map(|local| local.grefs) {
            self.domains[domain].pages.get_mut(&gref).expect("used").locals -= 1;
            self.let_go(domain, gref);
        }
        self.finish_alloc_close(domain, file);
        self.domains[domain].files.remove(&file);
    }

    /// A domain is destroyed: it maps nothing any more, and tells nobody.
    pub fn destroy(&mut self, domain: DomainId) {
        self.domains[domain].alive = false;
        self.domains[domain].devs.clear();
    }
}
