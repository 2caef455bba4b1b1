// SPDX-License-Identifier: MIT OR Apache-2.0
//! mmap and munmap of gntalloc: the owner's own view.

use super::scenario;
use crate::Scenario;
use crate::names::Index;
use crate::script::{PRIVATE_RO, PRIVATE_RW, RO, RW};

pub(super) const ALL: &[Scenario] = &[
    scenario("local-private", |s| {
        let page = s.share(1);
        s.mmap(page.file, page.index, 1, PRIVATE_RW);
        s.mmap(page.file, page.index, 1, PRIVATE_RO);
    }),
    scenario("local-private-before-unknown", |s| {
        let file = s.gntalloc();
        s.mmap(file, Index::raw(0), 1, PRIVATE_RW);
        s.mmap(file, Index::raw(0), 1, RW);
    }),
    scenario("local-readonly", |s| {
        let page = s.share(1);
        let local = s.mmap(page.file, page.index, 1, RO);
        s.load(local);
        s.store(local, 1);
    }),
    scenario("local-no-length", |s| {
        let page = s.share(1);
        s.mmap(page.file, page.index, 0, RW);
        s.mmap(page.file, page.index, 0, PRIVATE_RW);
    }),
    scenario("local-length-is-rounded-up", |s| {
        let page = s.share(1);
        let local = s.mmap_bytes(page.file, page.index, 4095, RW);
        s.store(local.byte(4095), 1);
        s.load(local.byte(4095));
    }),
    scenario("local-odd-length-beyond", |s| {
        let page = s.share(1);
        s.mmap_bytes(page.file, page.index, 4097, RW);
    }),
    scenario("local-index-within-a-page", |s| {
        let page = s.share(1);
        s.mmap(page.file, page.index.byte(1), 1, RW);
        s.mmap(page.file, page.index.byte(1), 1, PRIVATE_RW);
    }),
    scenario("local-unknown-index", |s| {
        let page = s.share(1);
        s.mmap(page.file, page.index.page(1), 1, RW);
        s.mmap(page.file, page.index, 2, RW);
        s.mmap(page.file, Index::raw(1 << 40), 1, RW);
    }),
    scenario("local-part", |s| {
        let pages = s.share(3);
        let all = s.mmap(pages.file, pages.index, 3, RW);
        let part = s.mmap(pages.file, pages.index.page(1), 1, RW);
        s.store(part, 80);
        s.load(all.page(1));
    }),
    scenario("local-across-two", |s| {
        let file = s.gntalloc();
        let one = s.alloc(file, 1);
        let two = s.alloc(file, 1);
        let both = s.mmap(file, one.index, 2, RW);
        let second = s.mmap(file, two.index, 1, RW);
        s.store(both.page(1), 81);
        s.load(second);
    }),
    scenario("local-many-times", |s| {
        let page = s.share(1);
        let one = s.mmap(page.file, page.index, 1, RW);
        let two = s.mmap(page.file, page.index, 1, RW);
        s.store(one, 82);
        s.munmap(one, 1);
        s.load(two);
        s.load(one);
    }),
    scenario("local-again-after-munmap", |s| {
        let page = s.share(1);
        let one = s.mmap(page.file, page.index, 1, RW);
        s.store(one, 83);
        s.munmap(one, 1);
        let two = s.mmap(page.file, page.index, 1, RW);
        s.load(two);
    }),
    scenario("local-another-files", |s| {
        let (page, other) = (s.share(1), s.gntalloc());
        s.mmap(other, page.index, 1, RW);
    }),
    scenario("local-munmap-part", |s| {
        let pages = s.share(2);
        let local = s.mmap(pages.file, pages.index, 2, RW);
        s.munmap(local, 1);
        s.load(local);
        s.load(local.page(1));
    }),
    scenario("local-munmap-twice", |s| {
        let page = s.share(1);
        let local = s.mmap(page.file, page.index, 1, RW);
        s.munmap(local, 1);
        s.munmap(local, 1);
    }),
    scenario("local-and-peer-see-each-other", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let local = s.mmap(pages.file, pages.index, 2, RW);
        let run = s.reserve(dev, &pages.grants);
        let at = s.mmap(dev, run, 2, RW);
        for page in 0..2 {
            s.store(local.page(page), 84);
            s.load(at.page(page));
            s.store(at.page(page).byte(4095), 85);
            s.load(local.page(page).byte(4095));
        }
    }),
];
