// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRANT_COPY: what ends the call, and what it has done by then.

use super::copy::{memory, target};
use super::scenario;
use crate::Scenario;
use crate::names::Place;
use crate::script::{CopySegment, Operand, RO};

pub(super) const ALL: &[Scenario] = &[
    scenario("copy-without-a-grant", |s| {
        let (dev, segments, bytes) = memory(s);
        s.store(bytes, 1);
        s.copy(dev, segments, &[CopySegment(Operand::At(bytes), Operand::At(bytes.byte(8)), 4)]);
        s.load(bytes.byte(8));
    }),
    scenario("copy-without-a-grant-nothing", |s| {
        let (dev, segments, bytes) = memory(s);
        s.copy(dev, segments, &[CopySegment(Operand::At(bytes), Operand::At(bytes), 0)]);
    }),
    scenario("copy-leaves-the-source-page", |s| {
        let ((dev, segments, bytes), (page, _)) = (memory(s), target(s));
        let from = Operand::Granted(page.grants[0], 4090);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes), 7)]);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes), 6)]);
    }),
    scenario("copy-leaves-the-target-page", |s| {
        let ((dev, segments, bytes), (page, _)) = (memory(s), target(s));
        let to = Operand::Granted(page.grants[0], 4095);
        s.copy(dev, segments, &[CopySegment(Operand::At(bytes), to, 2)]);
        s.copy(dev, segments, &[CopySegment(Operand::At(bytes), to, 1)]);
    }),
    scenario("copy-offset-beyond-the-page", |s| {
        let ((dev, segments, bytes), (page, _)) = (memory(s), target(s));
        let from = |offset| Operand::Granted(page.grants[0], offset);
        s.copy(dev, segments, &[CopySegment(from(4096), Operand::At(bytes), 0)]);
        s.copy(dev, segments, &[CopySegment(from(4097), Operand::At(bytes), 0)]);
        s.copy(dev, segments, &[CopySegment(from(u16::MAX), Operand::At(bytes), u16::MAX)]);
    }),
    scenario("copy-longer-than-a-page", |s| {
        let ((dev, segments, bytes), (page, _)) = (memory(s), target(s));
        let from = Operand::Granted(page.grants[0], 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes), 4097)]);
    }),
    scenario("copy-to-where-nothing-is", |s| {
        let ((dev, segments, _), (page, _)) = (memory(s), target(s));
        let from = Operand::Granted(page.grants[0], 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(Place::raw(0x1000)), 4)]);
    }),
    scenario("copy-from-where-nothing-is", |s| {
        let ((dev, segments, _), (page, local)) = (memory(s), target(s));
        s.store(local, 1);
        let to = Operand::Granted(page.grants[0], 0);
        s.copy(dev, segments, &[CopySegment(Operand::At(Place::raw(0x1000)), to, 4)]);
        s.load(local);
    }),
    scenario("copy-nothing-from-where-nothing-is", |s| {
        let ((dev, segments, _), (page, _)) = (memory(s), target(s));
        let to = Operand::Granted(page.grants[0], 0);
        s.copy(dev, segments, &[CopySegment(Operand::At(Place::raw(0x1000)), to, 0)]);
    }),
    scenario("copy-segments-where-nothing-is", |s| {
        let dev = s.gntdev();
        s.copy_at(dev, Place::raw(0x1000), 1);
    }),
    scenario("copy-segments-cut-off", |s| {
        let (dev, segments, _) = memory(s);
        s.copy_at(dev, segments.page(2).byte(4090), 1);
    }),
    scenario("copy-segments-read-only", |s| {
        let (dev, page) = (s.gntdev(), s.share(2));
        let run = s.reserve(dev, &page.grants[..1]);
        let at = s.mmap(dev, run, 1, RO);
        // A segment of zeroes has no grant.
        s.copy_at(dev, at, 1);
    }),
    scenario("copy-to-a-readonly-mapping", |s| {
        let ((dev, segments, _), (page, local)) = (memory(s), target(s));
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RO);
        s.store(local, 9);
        let from = Operand::Granted(page.grants[0], 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(at.byte(8)), 1)]);
        s.load(local.byte(8));
    }),
    scenario("copy-from-a-readonly-mapping", |s| {
        let ((dev, segments, _), (page, local)) = (memory(s), target(s));
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RO);
        s.store(local, 9);
        let to = Operand::Granted(page.grants[0], 8);
        s.copy(dev, segments, &[CopySegment(Operand::At(at), to, 1)]);
        s.load(local.byte(8));
    }),
    scenario("copy-good-before-a-wrong-one", |s| {
        let ((dev, segments, bytes), (page, local)) = (memory(s), target(s));
        s.store(local, 5);
        let good = CopySegment(Operand::Granted(page.grants[0], 0), Operand::At(bytes), 1);
        let wrong = CopySegment(Operand::At(bytes), Operand::At(bytes), 1);
        s.copy(dev, segments, &[good, wrong]);
        s.load(bytes);
    }),
    scenario("copy-good-behind-a-wrong-one", |s| {
        let ((dev, segments, bytes), (page, local)) = (memory(s), target(s));
        s.store(local, 5);
        let good = CopySegment(Operand::Granted(page.grants[0], 0), Operand::At(bytes), 1);
        let wrong = CopySegment(Operand::Granted(page.grants[0], 4096), Operand::At(bytes), 1);
        s.copy(dev, segments, &[wrong, good]);
        s.load(bytes);
    }),
    scenario("copy-seventeen-before-a-wrong-one", |s| {
        let ((dev, segments, bytes), (page, local)) = (memory(s), target(s));
        s.store(local, 5);
        let good = CopySegment(Operand::Granted(page.grants[0], 0), Operand::At(bytes), 1);
        let mut all = [good; 18];
        all[17] = CopySegment(Operand::At(bytes), Operand::At(bytes), 1);
        s.copy(dev, segments, &all);
        s.load(bytes);
    }),
];
