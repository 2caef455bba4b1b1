// SPDX-License-Identifier: MIT OR Apache-2.0
//! close: files with and without mappings, and calls on closed files.

use super::{CLEAR_BYTE, scenario};
use crate::Scenario;
use crate::names::Mapped;
use crate::script::{RO, RW};

pub(super) const ALL: &[Scenario] = &[
    scenario("close-gntdev", |s| {
        let dev = s.gntdev();
        s.close(dev);
    }),
    scenario("close-gntalloc", |s| {
        let file = s.gntalloc();
        s.close(file);
    }),
    scenario("close-twice", |s| {
        let (dev, file) = (s.gntdev(), s.gntalloc());
        s.close(dev);
        s.close(dev);
        s.close(file);
        s.close(file);
    }),
    scenario("close-reserved", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        s.reserve(dev, &page.grants);
        s.close(dev);
        s.dealloc(page.file, page.index, 1);
    }),
    scenario("close-mapped", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.close(dev);
        s.store(at, 50);
        s.load(local);
        s.munmap(at, 1);
        s.load(at);
    }),
    scenario("close-mapped-clears-no-byte-yet", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.notify(dev, run, CLEAR_BYTE, 0);
        s.store(at, 50);
        s.close(dev);
        s.load(local);
        s.munmap(at, 1);
        s.load(local);
    }),
    scenario("close-then-call-gntdev", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.close(dev);
        s.reserve(dev, &page.grants);
        s.mmap(dev, run, 1, RW);
        s.remove(dev, run, 1);
        s.notify(dev, run, CLEAR_BYTE, 0);
    }),
    scenario("close-then-call-gntalloc", |s| {
        let page = s.share(1);
        s.close(page.file);
        s.alloc(page.file, 1);
        s.mmap(page.file, page.index, 1, RW);
        s.dealloc(page.file, page.index, 1);
        s.notify(page.file, page.index, CLEAR_BYTE, 0);
    }),
    scenario("close-the-granter-while-mapped", |s| {
        let Mapped { pages, at, .. } = s.mapped(1, RW);
        s.store(at, 51);
        s.close(pages.file);
        s.load(at);
        s.store(at, 52);
        s.load(at);
    }),
    scenario("close-the-granter-before-the-map", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.close(page.file);
        s.mmap(dev, run, 1, RW);
    }),
    scenario("close-the-granter-locally-mapped", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        s.close(page.file);
        s.store(local, 53);
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RO);
        s.load(at);
        s.munmap(local, 1);
        s.load(at);
    }),
    scenario("close-the-granter-then-unmap-locally", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        s.close(page.file);
        s.munmap(local, 1);
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 1, RO);
    }),
    scenario("open-many", |s| {
        for _ in 0..20 {
            s.gntdev();
            s.gntalloc();
        }
    }),
];
