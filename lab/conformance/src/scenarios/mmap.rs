// SPDX-License-Identifier: MIT OR Apache-2.0
//! mmap and munmap of gntdev: whole reservations, and what is refused.

use super::{scenario, unused};
use crate::Scenario;
use crate::names::{Index, Mapped, Place};
use crate::script::{PRIVATE_RO, PRIVATE_RW, RO, RW};

pub(super) const ALL: &[Scenario] = &[
    scenario("mmap-shows-the-granters-bytes", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        s.store(local.byte(17), 171);
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.load(at.byte(17));
        s.load(at);
        s.store(at.byte(4095), 5);
        s.load(local.byte(4095));
        s.munmap(at, 1);
        s.load(local.byte(4095));
    }),
    scenario("mmap-fresh-page-is-zeroes", |s| {
        let Mapped { at, .. } = s.mapped(1, RO);
        s.load(at);
        s.load(at.byte(4095));
    }),
    scenario("mmap-readonly-can-be-read-only", |s| {
        let Mapped { at, .. } = s.mapped(1, RO);
        s.load(at);
        s.store(at, 1);
        s.load(at);
    }),
    scenario("mmap-readonly-grant-readonly", |s| {
        let (dev, page) = (s.gntdev(), s.share_readonly(1));
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RO);
        s.load(at);
        s.store(at, 1);
    }),
    scenario("mmap-readonly-grant-writable", |s| {
        let (dev, page) = (s.gntdev(), s.share_readonly(1));
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 1, RW);
        s.remove(dev, run, 1);
    }),
    scenario("mmap-again-after-a-refusal", |s| {
        let (dev, page) = (s.gntdev(), s.share_readonly(1));
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 1, RW);
        let at = s.mmap(dev, run, 1, RO);
        s.load(at);
    }),
    scenario("mmap-one-bad-of-three", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let bad = unused(s);
        let run = s.reserve(dev, &[pages.grants[0], bad, pages.grants[1]]);
        s.mmap(dev, run, 3, RW);
        s.remove(dev, run, 3);
        let run = s.reserve(dev, &pages.grants);
        let at = s.mmap(dev, run, 2, RW);
        s.load(at.page(1));
    }),
    scenario("mmap-last-one-bad", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let bad = unused(s);
        let run = s.reserve(dev, &[pages.grants[0], pages.grants[1], bad]);
        s.mmap(dev, run, 3, RO);
        s.dealloc(pages.file, pages.index, 2);
        s.remove(dev, run, 3);
    }),
    scenario("mmap-readonly-of-mixed-grants", |s| {
        let (dev, one, two) = (s.gntdev(), s.share(1), s.share_readonly(1));
        let run = s.reserve(dev, &[one.grants[0], two.grants[0]]);
        let at = s.mmap(dev, run, 2, RO);
        s.load(at.page(1));
        s.store(at, 1);
    }),
    scenario("mmap-writable-of-mixed-grants", |s| {
        let (dev, one, two) = (s.gntdev(), s.share(1), s.share_readonly(1));
        let run = s.reserve(dev, &[one.grants[0], two.grants[0]]);
        s.mmap(dev, run, 2, RW);
    }),
    scenario("mmap-private-writable", |s| {
        let Mapped { dev, run, .. } = s.mapped(1, PRIVATE_RW);
        let at = s.mmap(dev, run, 1, RW);
        s.store(at, 1);
    }),
    scenario("mmap-private-readonly", |s| {
        let Mapped { at, .. } = s.mapped(1, PRIVATE_RO);
        s.load(at);
        s.store(at, 1);
    }),
    scenario("mmap-no-length", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 0, RW);
        s.mmap(dev, run, 0, PRIVATE_RW);
    }),
    scenario("mmap-length-is-rounded-up", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap_bytes(dev, run, 1, RW);
        s.store(at.byte(4095), 8);
        s.load(at.byte(4095));
        s.munmap(at, 1);
    }),
    scenario("mmap-odd-length-of-two", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let run = s.reserve(dev, &pages.grants);
        let at = s.mmap_bytes(dev, run, 4097, RW);
        s.store(at.page(1).byte(4095), 8);
        s.load(at.page(1).byte(4095));
    }),
    scenario("mmap-nothing-reserved", |s| {
        let dev = s.gntdev();
        s.mmap(dev, Index::raw(0), 1, RW);
        s.mmap(dev, Index::raw(0), 1, RO);
        s.mmap(dev, Index::raw(0x10_0000), 1, RW);
    }),
    scenario("mmap-nothing-reserved-private", |s| {
        let dev = s.gntdev();
        s.mmap(dev, Index::raw(0), 1, PRIVATE_RW);
    }),
    scenario("mmap-index-within-a-page", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run.byte(1), 1, RW);
        s.mmap(dev, run.byte(2048), 1, PRIVATE_RW);
    }),
    scenario("mmap-far-outside", |s| {
        let dev = s.gntdev();
        s.mmap(dev, Index::raw(1 << 32), 1, RW);
        s.mmap(dev, Index::raw(1 << 44), 1, RO);
    }),
    scenario("mmap-far-outside-private-writable", |s| {
        let dev = s.gntdev();
        s.mmap(dev, Index::raw(1 << 32), 1, PRIVATE_RW);
    }),
    scenario("mmap-more-than-an-index-space", |s| {
        let dev = s.gntdev();
        s.mmap(dev, Index::raw(0), 70_000, RW);
    }),
    scenario("mmap-another-files-index", |s| {
        let (dev, other, page) = (s.gntdev(), s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.mmap(other, run, 1, RW);
        s.mmap(dev, run, 1, RW);
    }),
    scenario("munmap-twice", |s| {
        let Mapped { at, .. } = s.mapped(1, RW);
        s.munmap(at, 1);
        s.load(at);
        s.munmap(at, 1);
    }),
    scenario("munmap-not-on-a-page", |s| {
        let Mapped { at, .. } = s.mapped(1, RW);
        s.munmap(at.byte(1), 1);
        s.load(at);
    }),
    scenario("munmap-no-length", |s| {
        let Mapped { at, .. } = s.mapped(1, RW);
        s.munmap(at, 0);
        s.load(at);
    }),
    scenario("load-where-nothing-is", |s| {
        s.load(Place::raw(0x1000));
        s.store(Place::raw(0x1000), 1);
    }),
];
