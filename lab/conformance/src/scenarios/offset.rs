// SPDX-License-Identifier: MIT OR Apache-2.0
//! GET_OFFSET_FOR_VADDR, and SET_MAX_GRANTS.

use super::scenario;
use crate::Scenario;
use crate::names::{Mapped, Place};
use crate::script::{RO, RW};

pub(super) const ALL: &[Scenario] = &[
    scenario("offset-of-a-mapping", |s| {
        let Mapped { dev, at, .. } = s.mapped(1, RW);
        s.offset(dev, at);
    }),
    scenario("offset-of-three-pages", |s| {
        let Mapped { dev, at, .. } = s.mapped(3, RO);
        s.offset(dev, at);
    }),
    scenario("offset-of-the-second-mapping", |s| {
        let (dev, pages) = (s.gntdev(), s.share(3));
        let one = s.reserve(dev, &pages.grants[..1]);
        let two = s.reserve(dev, &pages.grants[1..]);
        let (a, b) = (s.mmap(dev, one, 1, RW), s.mmap(dev, two, 2, RW));
        s.offset(dev, b);
        s.offset(dev, a);
    }),
    scenario("offset-of-a-part", |s| {
        let (dev, pages) = (s.gntdev(), s.share(3));
        let run = s.reserve(dev, &pages.grants);
        let at = s.mmap(dev, run.page(1), 2, RW);
        s.offset(dev, at);
    }),
    scenario("offset-within-the-first-page", |s| {
        let Mapped { dev, at, .. } = s.mapped(1, RW);
        s.offset(dev, at.byte(1));
        s.offset(dev, at.byte(4095));
    }),
    scenario("offset-of-a-later-page", |s| {
        let Mapped { dev, at, .. } = s.mapped(2, RW);
        s.offset(dev, at.page(1));
    }),
    scenario("offset-of-nothing", |s| {
        let dev = s.gntdev();
        s.offset(dev, Place::raw(0));
        s.offset(dev, Place::raw(0x1000));
    }),
    scenario("offset-of-an-address-no-memory-has", |s| {
        let dev = s.gntdev();
        s.offset(dev, Place::raw(u64::MAX));
        s.offset(dev, Place::raw(1 << 60));
    }),
    scenario("offset-after-munmap", |s| {
        let Mapped { dev, at, .. } = s.mapped(1, RW);
        s.munmap(at, 1);
        s.offset(dev, at);
    }),
    scenario("offset-of-another-files-mapping", |s| {
        let (dev, other, page) = (s.gntdev(), s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.offset(other, at);
        s.offset(dev, at);
    }),
    scenario("offset-of-a-mapping-of-gntalloc", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let at = s.mmap(page.file, page.index, 1, RW);
        s.offset(dev, at);
    }),
    scenario("set-max-on-a-fresh-file", |s| {
        let dev = s.gntdev();
        s.set_max(dev, 4);
    }),
    scenario("set-max-none", |s| {
        let dev = s.gntdev();
        s.set_max(dev, 0);
    }),
    scenario("set-max-too-many", |s| {
        let dev = s.gntdev();
        s.set_max(dev, u32::MAX);
    }),
    scenario("set-max-is-kept", |s| {
        let (dev, pages) = (s.gntdev(), s.share(5));
        s.set_max(dev, 4);
        s.reserve(dev, &pages.grants);
        s.reserve(dev, &pages.grants[..4]);
        s.reserve(dev, &pages.grants[..1]);
    }),
    scenario("set-max-once-in-use", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.set_max(dev, 100);
        s.remove(dev, run, 1);
        s.set_max(dev, 100);
    }),
    scenario("set-max-of-one-file-alone", |s| {
        let (dev, other, pages) = (s.gntdev(), s.gntdev(), s.share(2));
        s.set_max(dev, 1);
        s.reserve(other, &pages.grants);
    }),
];
