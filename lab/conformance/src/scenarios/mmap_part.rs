// SPDX-License-Identifier: MIT OR Apache-2.0
//! mmap of part of a reservation, of several, and of the same one again; munmap of parts.

use super::scenario;
use crate::Scenario;
use crate::names::Mapped;
use crate::script::{RO, RW};

pub(super) const ALL: &[Scenario] = &[
    scenario("mmap-twice", |s| {
        let Mapped { dev, run, at, .. } = s.mapped(1, RW);
        s.mmap(dev, run, 1, RW);
        s.mmap(dev, run, 1, RO);
        s.load(at);
    }),
    scenario("mmap-again-after-munmap", |s| {
        let Mapped { dev, run, at, .. } = s.mapped(1, RW);
        s.store(at, 33);
        s.munmap(at, 1);
        let again = s.mmap(dev, run, 1, RO);
        s.load(again);
        s.store(again, 34);
    }),
    scenario("mmap-again-after-remove-and-insert", |s| {
        let Mapped { dev, pages, run, at } = s.mapped(1, RO);
        s.munmap(at, 1);
        s.remove(dev, run, 1);
        let run = s.reserve(dev, &pages.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.store(at, 35);
        s.load(at);
    }),
    scenario("mmap-after-remove", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.remove(dev, run, 1);
        s.mmap(dev, run, 1, RW);
    }),
    scenario("mmap-first-of-two", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let run = s.reserve(dev, &pages.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.load(at);
    }),
    scenario("mmap-second-of-two", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let run = s.reserve(dev, &pages.grants);
        let at = s.mmap(dev, run.page(1), 1, RW);
        s.load(at);
    }),
    scenario("mmap-both-halves-apart", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let run = s.reserve(dev, &pages.grants);
        let one = s.mmap(dev, run, 1, RW);
        let two = s.mmap(dev, run.page(1), 1, RO);
        s.store(one, 1);
        s.store(two, 1);
        s.load(two);
    }),
    scenario("mmap-middle-of-three", |s| {
        let (dev, pages) = (s.gntdev(), s.share(3));
        let run = s.reserve(dev, &pages.grants);
        s.mmap(dev, run.page(1), 1, RW);
        s.mmap(dev, run, 3, RW);
    }),
    scenario("mmap-one-beyond", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let run = s.reserve(dev, &pages.grants);
        s.mmap(dev, run, 3, RW);
        s.mmap(dev, run.page(2), 1, RW);
        s.mmap(dev, run, 2, RW);
    }),
    scenario("mmap-across-two", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let run = s.reserve(dev, &pages.grants[..1]);
        s.reserve(dev, &pages.grants[1..]);
        let at = s.mmap(dev, run, 2, RW);
        s.store(at.page(1), 4);
        s.load(at.page(1));
        s.munmap(at, 2);
    }),
    scenario("mmap-across-three-parts", |s| {
        let (dev, pages) = (s.gntdev(), s.share(4));
        let run = s.reserve(dev, &pages.grants[..2]);
        s.reserve(dev, &pages.grants[2..]);
        let at = s.mmap(dev, run.page(1), 2, RW);
        s.load(at.page(1));
    }),
    scenario("mmap-over-a-mapped-part", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let run = s.reserve(dev, &pages.grants[..1]);
        let next = s.reserve(dev, &pages.grants[1..]);
        let at = s.mmap(dev, next, 1, RW);
        s.mmap(dev, run, 2, RW);
        s.load(at);
    }),
    scenario("two-reservations-do-not-meet", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let one = s.reserve(dev, &pages.grants[..1]);
        let two = s.reserve(dev, &pages.grants[1..]);
        let (a, b) = (s.mmap(dev, one, 1, RW), s.mmap(dev, two, 1, RW));
        s.store(a, 1);
        s.store(b, 2);
        s.load(a);
        s.load(b);
    }),
    scenario("a-hole-is-used-again", |s| {
        let (dev, pages) = (s.gntdev(), s.share(4));
        let _first = s.reserve(dev, &pages.grants[..1]);
        let hole = s.reserve(dev, &pages.grants[1..3]);
        let last = s.reserve(dev, &pages.grants[3..]);
        s.remove(dev, hole, 2);
        let again = s.reserve(dev, &pages.grants[1..2]);
        let (a, b) = (s.mmap(dev, again, 1, RW), s.mmap(dev, last, 1, RW));
        s.store(a, 6);
        s.store(b, 7);
        s.load(a);
    }),
    scenario("munmap-first-half", |s| {
        let Mapped { at, .. } = s.mapped(2, RW);
        s.munmap(at, 1);
        s.load(at);
        s.load(at.page(1));
    }),
    scenario("munmap-second-half", |s| {
        let Mapped { at, .. } = s.mapped(2, RW);
        s.munmap(at.page(1), 1);
        s.load(at);
        s.load(at.page(1));
    }),
    scenario("munmap-middle", |s| {
        let Mapped { at, .. } = s.mapped(3, RW);
        s.munmap(at.page(1), 1);
        s.load(at.page(1));
        s.store(at, 1);
        s.store(at.page(2), 2);
    }),
    scenario("munmap-of-nothing-ever-mapped", |s| {
        let Mapped { dev, run, at, .. } = s.mapped(1, RW);
        s.munmap(at, 1);
        s.remove(dev, run, 1);
        s.munmap(at, 1);
    }),
];
