// SPDX-License-Identifier: MIT OR Apache-2.0
//! MAP_GRANT_REF: its checks, and what it leaves to mmap.

use super::{scenario, unused};
use crate::Scenario;
use crate::names::{Grant, Mapped};
use crate::script::RW;
use xen_sys::linux::gntalloc::{IOCTL_GNTALLOC_ALLOC_GREF, IOCTL_GNTALLOC_DEALLOC_GREF};
use xen_sys::linux::gntdev::{
    IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, IOCTL_GNTDEV_GRANT_COPY,
    IOCTL_GNTDEV_SET_MAX_GRANTS, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, IOCTL_GNTDEV_UNMAP_GRANT_REF,
};

pub(super) const ALL: &[Scenario] = &[
    scenario("map-none", |s| {
        let dev = s.gntdev();
        s.reserve(dev, &[]);
    }),
    scenario("map-none-then-one", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        s.reserve(dev, &[]);
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 1, RW);
    }),
    scenario("map-without-argument", |s| {
        let dev = s.gntdev();
        s.reserve_cut(dev, 1, 0);
    }),
    scenario("map-cut-header", |s| {
        let dev = s.gntdev();
        s.reserve_cut(dev, 1, 15);
    }),
    scenario("map-header-alone", |s| {
        let dev = s.gntdev();
        s.reserve_cut(dev, 1, 16);
        s.reserve_cut(dev, 0, 16);
    }),
    scenario("map-none-cut-header", |s| {
        let dev = s.gntdev();
        s.reserve_cut(dev, 0, 23);
        s.reserve_cut(dev, 0, 24);
    }),
    scenario("map-cut-references", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        s.reserve_cut(dev, 2, 24);
        s.reserve_cut(dev, 2, 31);
        s.reserve_cut(dev, 1000, 4096);
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 1, RW);
    }),
    scenario("map-far-too-many", |s| {
        let dev = s.gntdev();
        s.reserve_cut(dev, 65_537, 24);
    }),
    scenario("map-most-a-header-can-say", |s| {
        let dev = s.gntdev();
        s.reserve_cut(dev, u32::MAX, 24);
    }),
    scenario("map-unused-reference", |s| {
        let dev = s.gntdev();
        let grant = unused(s);
        let run = s.reserve(dev, &[grant]);
        s.mmap(dev, run, 1, RW);
        s.remove(dev, run, 1);
    }),
    scenario("map-reference-beyond-the-table", |s| {
        let dev = s.gntdev();
        let own = s.domid().into();
        let run = s.reserve(dev, &[Grant::raw(own, u32::MAX)]);
        s.mmap(dev, run, 1, RW);
    }),
    scenario("map-reference-zero", |s| {
        let dev = s.gntdev();
        let own = s.domid().into();
        let run = s.reserve(dev, &[Grant::raw(own, 7)]);
        s.mmap(dev, run, 1, RW);
    }),
    scenario("map-domain-that-is-not-there", |s| {
        let dev = s.gntdev();
        let run = s.reserve(dev, &[Grant::raw(32_000, 8)]);
        s.mmap(dev, run, 1, RW);
    }),
    scenario("map-reserved-domain", |s| {
        let dev = s.gntdev();
        for domid in [0x7ff0, 0x7ff1, 0x7ff2, 0x7ff4, 0x7fff] {
            let run = s.reserve(dev, &[Grant::raw(domid, 8)]);
            s.mmap(dev, run, 1, RW);
        }
    }),
    scenario("map-same-reference-twice", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &[page.grants[0], page.grants[0]]);
        let at = s.mmap(dev, run, 2, RW);
        s.store(at.byte(5), 77);
        s.load(at.page(1).byte(5));
        s.munmap(at, 2);
        s.remove(dev, run, 2);
    }),
    scenario("map-same-reference-in-two-calls", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let (one, two) = (s.reserve(dev, &page.grants), s.reserve(dev, &page.grants));
        let (a, b) = (s.mmap(dev, one, 1, RW), s.mmap(dev, two, 1, RW));
        s.store(a, 3);
        s.load(b);
        s.munmap(a, 1);
        s.load(b);
    }),
    scenario("map-same-reference-in-two-files", |s| {
        let (dev, other, page) = (s.gntdev(), s.gntdev(), s.share(1));
        let (one, two) = (s.reserve(dev, &page.grants), s.reserve(other, &page.grants));
        let (a, b) = (s.mmap(dev, one, 1, RW), s.mmap(other, two, 1, RW));
        s.store(a, 9);
        s.load(b);
    }),
    scenario("map-in-another-order", |s| {
        let (dev, pages) = (s.gntdev(), s.share(3));
        let local = s.mmap(pages.file, pages.index, 3, RW);
        for page in 0..3 {
            s.store(local.page(page), 10 + page as u8);
        }
        let run = s.reserve(dev, &[pages.grants[2], pages.grants[0], pages.grants[1]]);
        let at = s.mmap(dev, run, 3, RW);
        for page in 0..3 {
            s.load(at.page(page));
        }
    }),
    scenario("map-pages-of-several-files", |s| {
        let (dev, one, two) = (s.gntdev(), s.share(1), s.share(1));
        let run = s.reserve(dev, &[one.grants[0], two.grants[0]]);
        let at = s.mmap(dev, run, 2, RW);
        let local = s.mmap(two.file, two.index, 1, RW);
        s.store(at.page(1), 21);
        s.load(local);
    }),
    scenario("map-a-hundred", |s| {
        let Mapped { dev, run, at, .. } = s.mapped(100, RW);
        s.store(at.page(99).byte(4095), 1);
        s.load(at.page(99).byte(4095));
        s.munmap(at, 100);
        s.remove(dev, run, 100);
    }),
    scenario("gntdev-unknown-command", |s| {
        let dev = s.gntdev();
        s.ioctl(dev, "command 4", 0x0018_4704, &mut [0; 24]);
        s.ioctl(dev, "command 0", 0, &mut [0; 24]);
        s.ioctl(dev, "DMABUF_EXP_FROM_REFS", IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS, &mut [0; 20]);
    }),
    scenario("gntdev-commands-of-gntalloc", |s| {
        let dev = s.gntdev();
        s.ioctl(dev, "ALLOC", IOCTL_GNTALLOC_ALLOC_GREF, &mut [0; 24]);
        s.ioctl(dev, "DEALLOC", IOCTL_GNTALLOC_DEALLOC_GREF, &mut [0; 16]);
    }),
    scenario("gntdev-command-of-another-size", |s| {
        let dev = s.gntdev();
        s.ioctl(dev, "UNMAP(24)", 0x0018_4701, &mut [0; 24]);
        s.ioctl(dev, "MAP(16)", 0x0010_4700, &mut [0; 24]);
    }),
    scenario("gntdev-cut-arguments", |s| {
        let dev = s.gntdev();
        s.ioctl(dev, "UNMAP(15B)", IOCTL_GNTDEV_UNMAP_GRANT_REF, &mut [0; 15]);
        s.ioctl(dev, "GET_OFFSET(23B)", IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &mut [0; 23]);
        s.ioctl(dev, "NOTIFY(15B)", IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &mut [0; 15]);
        s.ioctl(dev, "COPY(15B)", IOCTL_GNTDEV_GRANT_COPY, &mut [0; 15]);
    }),
    scenario("set-max-cut-argument", |s| {
        let dev = s.gntdev();
        s.ioctl(dev, "SET_MAX(3B)", IOCTL_GNTDEV_SET_MAX_GRANTS, &mut [0; 3]);
    }),
];
