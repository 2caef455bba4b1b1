// SPDX-License-Identifier: MIT OR Apache-2.0
//! ALLOC_GREF: its checks, and what the peer gets.

use super::scenario;
use crate::Scenario;
use crate::script::{RO, RW};
use xen_sys::linux::gntalloc::{
    GntallocFlag, IOCTL_GNTALLOC_ALLOC_GREF, IOCTL_GNTALLOC_DEALLOC_GREF,
    IOCTL_GNTALLOC_SET_UNMAP_NOTIFY,
};
use xen_sys::linux::gntdev::{
    IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, IOCTL_GNTDEV_GRANT_COPY, IOCTL_GNTDEV_MAP_GRANT_REF,
    IOCTL_GNTDEV_SET_MAX_GRANTS, IOCTL_GNTDEV_UNMAP_GRANT_REF,
};

pub(super) const ALL: &[Scenario] = &[
    scenario("alloc-one", |s| {
        let file = s.gntalloc();
        s.alloc(file, 1);
    }),
    scenario("alloc-none", |s| {
        let file = s.gntalloc();
        let none = s.alloc(file, 0);
        s.mmap(file, none.index, 1, RW);
        s.dealloc(file, none.index, 1);
    }),
    scenario("alloc-none-takes-no-index", |s| {
        let file = s.gntalloc();
        let none = s.alloc(file, 0);
        let one = s.alloc(file, 1);
        // If `none` used up no index, `one` has the same one.
        s.mmap(file, none.index, 1, RW);
        s.mmap(file, one.index, 1, RW);
    }),
    scenario("alloc-without-argument", |s| {
        let file = s.gntalloc();
        s.alloc_cut(file, 1, 0);
    }),
    scenario("alloc-cut-header", |s| {
        let file = s.gntalloc();
        s.alloc_cut(file, 1, 15);
    }),
    scenario("alloc-no-room-for-references", |s| {
        let file = s.gntalloc();
        s.alloc_cut(file, 3, 24);
    }),
    scenario("alloc-header-without-padding", |s| {
        let file = s.gntalloc();
        s.alloc_cut(file, 1, 20);
        s.alloc_cut(file, 0, 16);
    }),
    scenario("alloc-for-reserved-domain", |s| {
        let file = s.gntalloc();
        for domid in [0x7ff0, 0x7ff1, 0x7ff4, 0x7fff, 0x8000, 0xffff] {
            s.alloc_for(file, domid, GntallocFlag::WRITABLE.bits(), 1);
        }
    }),
    scenario("alloc-for-last-ordinary-domain", |s| {
        let file = s.gntalloc();
        s.alloc_for(file, 0x7fef, GntallocFlag::WRITABLE.bits(), 1);
    }),
    scenario("alloc-for-domain-that-is-not-there", |s| {
        let (dev, file) = (s.gntdev(), s.gntalloc());
        let page = s.alloc_for(file, 32_000, GntallocFlag::WRITABLE.bits(), 1);
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 1, RW);
        s.mmap(dev, run, 1, RO);
    }),
    scenario("alloc-unknown-flags", |s| {
        let (file, own) = (s.gntalloc(), s.domid());
        for flags in [2, 3, 0x8000, 0xffff] {
            s.alloc_for(file, own, flags, 1);
        }
    }),
    scenario("alloc-readonly-is-refused-writable", |s| {
        let (dev, page) = (s.gntdev(), s.share_readonly(2));
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 2, RW);
    }),
    scenario("alloc-readonly-is-the-owners-to-write", |s| {
        let (dev, page) = (s.gntdev(), s.share_readonly(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        s.store(local, 64);
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RO);
        s.load(at);
        s.store(local, 65);
        s.load(at);
    }),
    scenario("alloc-pages-are-zeroes", |s| {
        let pages = s.share(2);
        let local = s.mmap(pages.file, pages.index, 2, RW);
        s.load(local);
        s.load(local.page(1).byte(4095));
    }),
    scenario("alloc-zeroes-after-use", |s| {
        let file = s.gntalloc();
        for _ in 0..3 {
            let page = s.alloc(file, 1);
            let local = s.mmap(file, page.index, 1, RW);
            s.load(local.byte(33));
            s.store(local.byte(33), 99);
            s.munmap(local, 1);
            s.dealloc(file, page.index, 1);
        }
    }),
    scenario("alloc-many-times", |s| {
        let file = s.gntalloc();
        let (one, two) = (s.alloc(file, 2), s.alloc(file, 3));
        let (a, b) = (s.mmap(file, one.index, 2, RW), s.mmap(file, two.index, 3, RW));
        s.store(a.page(1), 1);
        s.store(b, 2);
        s.load(a.page(1));
        s.load(b);
    }),
    scenario("alloc-in-two-files", |s| {
        let (one, two) = (s.share(1), s.share(1));
        let (a, b) = (s.mmap(one.file, one.index, 1, RW), s.mmap(two.file, two.index, 1, RW));
        s.store(a, 1);
        s.store(b, 2);
        s.load(a);
        s.load(b);
    }),
    scenario("gntalloc-unknown-command", |s| {
        let file = s.gntalloc();
        s.ioctl(file, "command 4", 0x0018_4704, &mut [0; 24]);
        s.ioctl(file, "command 0", 0, &mut [0; 24]);
    }),
    scenario("gntalloc-commands-of-gntdev", |s| {
        let file = s.gntalloc();
        s.ioctl(file, "MAP", IOCTL_GNTDEV_MAP_GRANT_REF, &mut [0; 24]);
        s.ioctl(file, "UNMAP", IOCTL_GNTDEV_UNMAP_GRANT_REF, &mut [0; 16]);
        s.ioctl(file, "GET_OFFSET", IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &mut [0; 24]);
        s.ioctl(file, "SET_MAX", IOCTL_GNTDEV_SET_MAX_GRANTS, &mut [0; 4]);
        s.ioctl(file, "COPY", IOCTL_GNTDEV_GRANT_COPY, &mut [0; 16]);
    }),
    scenario("gntalloc-command-of-another-size", |s| {
        let file = s.gntalloc();
        s.ioctl(file, "ALLOC(16)", 0x0010_4705, &mut [0; 24]);
    }),
    scenario("gntalloc-cut-arguments", |s| {
        let file = s.gntalloc();
        s.ioctl(file, "DEALLOC(15B)", IOCTL_GNTALLOC_DEALLOC_GREF, &mut [0; 15]);
        s.ioctl(file, "NOTIFY(15B)", IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &mut [0; 15]);
        s.ioctl(file, "ALLOC(7B)", IOCTL_GNTALLOC_ALLOC_GREF, &mut [0; 7]);
    }),
];
