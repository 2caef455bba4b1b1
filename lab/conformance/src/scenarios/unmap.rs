// SPDX-License-Identifier: MIT OR Apache-2.0
//! UNMAP_GRANT_REF: the end of a reservation.

use super::scenario;
use crate::Scenario;
use crate::names::{Index, Mapped};
use crate::script::{RO, RW};

pub(super) const ALL: &[Scenario] = &[
    scenario("remove-unmapped", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.remove(dev, run, 1);
    }),
    scenario("remove-twice", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.remove(dev, run, 1);
        s.remove(dev, run, 1);
    }),
    scenario("remove-nothing-reserved", |s| {
        let dev = s.gntdev();
        s.remove(dev, Index::raw(0), 1);
    }),
    scenario("remove-far-outside", |s| {
        let dev = s.gntdev();
        s.remove(dev, Index::raw(1 << 32), 1);
        s.remove(dev, Index::raw(u64::MAX - 4095), 1);
        s.remove(dev, Index::raw(0), u32::MAX);
    }),
    scenario("remove-wrapping", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.remove(dev, run, u32::MAX);
        s.remove(dev, run, 1);
    }),
    scenario("remove-none", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.remove(dev, run, 0);
        s.mmap(dev, run, 1, RW);
    }),
    scenario("remove-none-of-nothing", |s| {
        let dev = s.gntdev();
        s.remove(dev, Index::raw(0), 0);
        s.remove(dev, Index::raw(0x7000), 0);
    }),
    scenario("remove-mapped", |s| {
        let Mapped { dev, run, at, .. } = s.mapped(1, RW);
        s.remove(dev, run, 1);
        s.load(at);
        s.munmap(at, 1);
        s.remove(dev, run, 1);
    }),
    scenario("remove-mapped-readonly", |s| {
        let (dev, page) = (s.gntdev(), s.share_readonly(1));
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RO);
        s.remove(dev, run, 1);
        s.load(at);
    }),
    scenario("remove-after-munmap", |s| {
        let Mapped { dev, run, at, .. } = s.mapped(1, RW);
        s.munmap(at, 1);
        s.remove(dev, run, 1);
        s.remove(dev, run, 1);
    }),
    scenario("remove-first-of-two", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let run = s.reserve(dev, &pages.grants);
        s.remove(dev, run, 1);
        s.remove(dev, run, 2);
    }),
    scenario("remove-second-of-two", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let run = s.reserve(dev, &pages.grants);
        s.remove(dev, run.page(1), 1);
    }),
    scenario("remove-one-too-many", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.remove(dev, run, 2);
        s.mmap(dev, run, 1, RW);
    }),
    scenario("remove-two-at-once", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let run = s.reserve(dev, &pages.grants[..1]);
        s.reserve(dev, &pages.grants[1..]);
        s.remove(dev, run, 2);
    }),
    scenario("remove-half-mapped", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let one = s.reserve(dev, &pages.grants[..1]);
        let two = s.reserve(dev, &pages.grants[1..]);
        s.mmap(dev, two, 1, RW);
        s.remove(dev, one, 2);
        s.remove(dev, one, 1);
    }),
    scenario("remove-index-within-a-page", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.remove(dev, run.byte(8), 1);
    }),
    scenario("remove-another-files", |s| {
        let (dev, other, page) = (s.gntdev(), s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.remove(other, run, 1);
        s.mmap(dev, run, 1, RW);
    }),
    scenario("remove-of-a-refused-map", |s| {
        let (dev, page) = (s.gntdev(), s.share_readonly(1));
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 1, RW);
        s.remove(dev, run, 1);
        s.remove(dev, run, 1);
    }),
];
