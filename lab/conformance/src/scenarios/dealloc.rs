// SPDX-License-Identifier: MIT OR Apache-2.0
//! DEALLOC_GREF: of pages that are free, mapped locally, or mapped by the peer.

use super::scenario;
use crate::Scenario;
use crate::names::{Index, Mapped};
use crate::script::{RO, RW};

pub(super) const ALL: &[Scenario] = &[
    scenario("dealloc-unmapped", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        s.dealloc(page.file, page.index, 1);
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 1, RO);
    }),
    scenario("dealloc-twice", |s| {
        let page = s.share(1);
        s.dealloc(page.file, page.index, 1);
        s.dealloc(page.file, page.index, 1);
    }),
    scenario("dealloc-none", |s| {
        let page = s.share(1);
        s.dealloc(page.file, page.index, 0);
        s.dealloc(page.file, Index::raw(0x7000), 0);
        s.mmap(page.file, page.index, 1, RW);
    }),
    scenario("dealloc-nothing-allocated", |s| {
        let file = s.gntalloc();
        s.dealloc(file, Index::raw(0), 1);
        s.dealloc(file, Index::raw(1 << 40), 1);
        s.dealloc(file, Index::raw(u64::MAX - 4095), 1);
    }),
    scenario("dealloc-too-many", |s| {
        let pages = s.share(2);
        s.dealloc(pages.file, pages.index, 3);
        s.dealloc(pages.file, pages.index, u32::MAX);
        s.dealloc(pages.file, pages.index, 2);
    }),
    scenario("dealloc-index-within-a-page", |s| {
        let page = s.share(1);
        s.dealloc(page.file, page.index.byte(1), 1);
        s.dealloc(page.file, page.index, 1);
    }),
    scenario("dealloc-first-of-two", |s| {
        let pages = s.share(2);
        s.dealloc(pages.file, pages.index, 1);
        s.mmap(pages.file, pages.index, 1, RW);
        s.mmap(pages.file, pages.index.page(1), 1, RW);
        s.dealloc(pages.file, pages.index, 2);
        s.dealloc(pages.file, pages.index.page(1), 1);
    }),
    scenario("dealloc-middle-of-three", |s| {
        let pages = s.share(3);
        s.dealloc(pages.file, pages.index.page(1), 1);
        s.mmap(pages.file, pages.index, 3, RW);
        s.mmap(pages.file, pages.index.page(2), 1, RW);
    }),
    scenario("dealloc-across-two", |s| {
        let file = s.gntalloc();
        let one = s.alloc(file, 1);
        s.alloc(file, 2);
        s.dealloc(file, one.index, 3);
        s.dealloc(file, one.index, 1);
    }),
    scenario("dealloc-mapped-here", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        s.dealloc(page.file, page.index, 1);
        s.store(local, 70);
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RO);
        s.load(at);
        s.mmap(page.file, page.index, 1, RW);
        s.dealloc(page.file, page.index, 1);
    }),
    scenario("dealloc-mapped-here-then-unmapped", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        s.dealloc(page.file, page.index, 1);
        s.munmap(local, 1);
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 1, RO);
    }),
    scenario("dealloc-mapped-by-the-peer", |s| {
        let Mapped { pages, at, .. } = s.mapped(1, RW);
        s.store(at, 71);
        s.dealloc(pages.file, pages.index, 1);
        s.load(at);
        s.store(at, 72);
        s.load(at);
        s.munmap(at, 1);
    }),
    scenario("dealloc-mapped-by-the-peer-is-gone-here", |s| {
        let Mapped { pages, .. } = s.mapped(1, RW);
        s.dealloc(pages.file, pages.index, 1);
        s.mmap(pages.file, pages.index, 1, RW);
        s.dealloc(pages.file, pages.index, 1);
        s.notify(pages.file, pages.index, 0, 0);
    }),
    scenario("dealloc-another-files", |s| {
        let (page, other) = (s.share(1), s.gntalloc());
        s.dealloc(other, page.index, 1);
        s.mmap(page.file, page.index, 1, RW);
    }),
    scenario("dealloc-never-gives-an-index-again", |s| {
        let file = s.gntalloc();
        let one = s.alloc(file, 1);
        s.dealloc(file, one.index, 1);
        let two = s.alloc(file, 1);
        s.mmap(file, one.index, 1, RW);
        s.mmap(file, two.index, 1, RW);
    }),
];
