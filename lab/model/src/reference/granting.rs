// SPDX-License-Identifier: MIT OR Apache-2.0
//! gntalloc's answers, and the life of its pages.

use alloc::vec::Vec;
use core::mem;

use drivers::Errno;

use super::{Answer, CELLS, DomainId, Gref, Local, Model, Notify, PAGE, Page, cell, refusal};

impl Model {
    pub fn alloc_gref(
        &mut self,
        domain: DomainId,
        file: usize,
        (peer, flags, count): (u16, u16, u32),
        got: Answer<(u64, Vec<Gref>)>,
    ) {
        if self.lacks(self.domains[domain].files[&file].closed, &got) {
            return;
        }
        let count = count as usize;
        let admitted = self.admit(domain, count);
        let d = &mut self.domains[domain];
        let expected = if d.files[&file].closed {
            Err(refusal(Errno::EBADF))
        } else if peer >= 0x7FF0 || flags > 1 {
            Err(refusal(Errno::EINVAL))
        } else if count == 0 {
            Ok(())
        } else {
            admitted
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
            // A page that this very call reaped may have had the same gref.
            d.pages.insert(gref, page);
        }
    }

    /// Whether `count` more pages can be granted, after reaping whatever can be reaped.
    pub fn admit(&self, domain: DomainId, count: usize) -> Answer<()> {
        let busy = self.used_memory(domain) - self.parked(domain).1.len();
        if busy + count > self.domains[domain].limit || busy + count > self.room.entries {
            Err(refusal(Errno::ENOSPC))
        } else if busy + count > self.room.memory {
            Err(refusal(Errno::ENOMEM))
        } else {
            Ok(())
        }
    }

    /// Returns the grefs of a run of listed pages.
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

    pub fn unlist(&mut self, domain: DomainId, gref: Gref) {
        self.domains[domain].pages.get_mut(&gref).expect("listed").listed = false;
        self.let_go(domain, gref);
    }

    /// Ends a page's local life, if nobody in its domain holds it.
    fn let_go(&mut self, domain: DomainId, gref: Gref) {
        let pinned = self.is_pinned(domain, gref);
        let d = &mut self.domains[domain];
        let page = d.pages.get_mut(&gref).expect("charged");
        if page.listed || page.locals > 0 {
            return;
        }
        let notify = mem::take(&mut page.notify);
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
        if self.lacks(self.domains[domain].files[&file].closed, &got) {
            return;
        }
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
        if self.lacks(self.domains[domain].files[&file].closed, &got) {
            return;
        }
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

    /// Releases a closed file's pages with its last mapping.
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

    /// Ends a file as the end of its process does: its mappings go, and it's closed.
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
}
