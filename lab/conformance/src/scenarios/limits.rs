// SPDX-License-Identifier: MIT OR Apache-2.0
//! Limits: of gntalloc over all files, of mappings of one gref, of an index space.

use super::scenario;
use crate::Scenario;
use crate::names::Mapped;
use crate::script::{RO, RW};

/// The most pages that gntalloc grants at a time.
const LIMIT: u32 = 1024;

pub(super) const ALL: &[Scenario] = &[
    scenario("limit-all-at-once", |s| {
        let file = s.gntalloc();
        s.alloc(file, LIMIT);
        s.alloc(file, 1);
    }),
    scenario("limit-one-too-many", |s| {
        let file = s.gntalloc();
        s.alloc(file, LIMIT + 1);
        s.alloc(file, LIMIT);
    }),
    scenario("limit-is-over-all-files", |s| {
        let (one, two) = (s.gntalloc(), s.gntalloc());
        s.alloc(one, LIMIT - 1);
        s.alloc(two, 2);
        s.alloc(two, 1);
        s.alloc(one, 1);
    }),
    scenario("limit-none-when-full", |s| {
        let file = s.gntalloc();
        s.alloc(file, LIMIT);
        s.alloc(file, 0);
    }),
    scenario("limit-dealloc-makes-room", |s| {
        let file = s.gntalloc();
        let all = s.alloc(file, LIMIT);
        s.dealloc(file, all.index.page(1), 2);
        s.alloc(file, 3);
        s.alloc(file, 2);
    }),
    scenario("limit-close-makes-room", |s| {
        let (one, two) = (s.gntalloc(), s.gntalloc());
        s.alloc(one, LIMIT);
        s.alloc(two, 1);
        s.close(one);
        s.alloc(two, LIMIT);
    }),
    scenario("limit-counts-what-is-mapped-here", |s| {
        let file = s.gntalloc();
        let all = s.alloc(file, LIMIT);
        let local = s.mmap(file, all.index, 1, RW);
        s.dealloc(file, all.index, 1);
        s.alloc(file, 1);
        s.munmap(local, 1);
        s.alloc(file, 1);
    }),
    scenario("limit-counts-what-the-peer-maps", |s| {
        let (dev, file) = (s.gntdev(), s.gntalloc());
        let all = s.alloc(file, LIMIT);
        let run = s.reserve(dev, &all.grants[..1]);
        let at = s.mmap(dev, run, 1, RO);
        s.dealloc(file, all.index, LIMIT);
        s.alloc(file, LIMIT - 1);
        s.alloc(file, 1);
        s.munmap(at, 1);
        s.alloc(file, 1);
    }),
    scenario("limit-found-before-a-short-argument", |s| {
        let file = s.gntalloc();
        s.alloc_cut(file, 100_000, 24);
    }),
    scenario("limit-most-a-header-can-say", |s| {
        let file = s.gntalloc();
        s.alloc_cut(file, u32::MAX, 24);
    }),
    scenario("a-thousand-mapped", |s| {
        let Mapped { dev, run, at, .. } = s.mapped(LIMIT, RW);
        s.store(at.page(1023), 1);
        s.load(at.page(1023));
        s.munmap(at, LIMIT.into());
        s.remove(dev, run, LIMIT);
    }),
];
