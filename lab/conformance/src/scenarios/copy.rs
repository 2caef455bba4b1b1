// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRANT_COPY: what it copies, and the status of each segment.
//!
//! The segments are in the first of several mapped pages, the local bytes in the second.

use super::{scenario, unused};
use crate::Scenario;
use crate::names::{Allocation, File, Grant, Mapped, Place};
use crate::script::{CopySegment, Operand, RW, Script};

/// Maps two pages: one for segments, one for bytes.
pub(super) fn memory(s: &mut Script<'_>) -> (File, Place, Place) {
    let Mapped { dev, at, .. } = s.mapped(3, RW);
    (dev, at, at.page(1))
}

/// Grants a page. Returns it and the granter's own mapping of it.
pub(super) fn target(s: &mut Script<'_>) -> (Allocation, Place) {
    let page = s.share(1);
    let local = s.mmap(page.file, page.index, 1, RW);
    (page, local)
}

pub(super) const ALL: &[Scenario] = &[
    scenario("copy-from-a-grant", |s| {
        let ((dev, segments, bytes), (page, local)) = (memory(s), target(s));
        s.poke(local.byte(100), b"gift");
        let from = Operand::Granted(page.grants[0], 100);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes.byte(7)), 4)]);
        (6..12).for_each(|at| s.load(bytes.byte(at)));
    }),
    scenario("copy-to-a-grant", |s| {
        let ((dev, segments, bytes), (page, local)) = (memory(s), target(s));
        s.poke(bytes, b"gift");
        let to = Operand::Granted(page.grants[0], 4092);
        s.copy(dev, segments, &[CopySegment(Operand::At(bytes), to, 4)]);
        s.load(local.byte(4091));
        s.load(local.byte(4092));
        s.load(local.byte(4095));
    }),
    scenario("copy-between-grants", |s| {
        let ((dev, segments, _), (from, local)) = (memory(s), target(s));
        let (to, other) = target(s);
        s.poke(local, b"ab");
        let ends = (Operand::Granted(from.grants[0], 0), Operand::Granted(to.grants[0], 1));
        s.copy(dev, segments, &[CopySegment(ends.0, ends.1, 2)]);
        (0..4).for_each(|at| s.load(other.byte(at)));
    }),
    scenario("copy-within-a-grant", |s| {
        let ((dev, segments, _), (page, local)) = (memory(s), target(s));
        s.poke(local, b"ab");
        let ends = (Operand::Granted(page.grants[0], 0), Operand::Granted(page.grants[0], 2048));
        s.copy(dev, segments, &[CopySegment(ends.0, ends.1, 2)]);
        s.load(local.byte(2049));
    }),
    scenario("copy-a-whole-page", |s| {
        let ((dev, segments, bytes), (page, local)) = (memory(s), target(s));
        s.store(local, 1);
        s.store(local.byte(4095), 2);
        let from = Operand::Granted(page.grants[0], 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes), 4096)]);
        s.load(bytes);
        s.load(bytes.byte(4095));
    }),
    scenario("copy-across-local-pages", |s| {
        let ((dev, segments, bytes), (page, local)) = (memory(s), target(s));
        s.poke(local, b"abcd");
        let from = Operand::Granted(page.grants[0], 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes.byte(4094)), 4)]);
        (4094..4098).for_each(|at| s.load(bytes.byte(at)));
    }),
    scenario("copy-nothing", |s| {
        let ((dev, segments, bytes), (page, _)) = (memory(s), target(s));
        let from = Operand::Granted(page.grants[0], 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes), 0)]);
    }),
    scenario("copy-nothing-from-an-unused-reference", |s| {
        let (dev, segments, bytes) = memory(s);
        let from = Operand::Granted(unused(s), 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes), 0)]);
    }),
    scenario("copy-no-segments", |s| {
        let (dev, segments, _) = memory(s);
        s.copy(dev, segments, &[]);
    }),
    scenario("copy-no-segments-anywhere", |s| {
        let dev = s.gntdev();
        s.copy_at(dev, Place::raw(0), 0);
    }),
    scenario("copy-forty-segments", |s| {
        let ((dev, segments, bytes), (page, local)) = (memory(s), target(s));
        s.store(local, 44);
        let from = Operand::Granted(page.grants[0], 0);
        let all: [CopySegment; 40] =
            core::array::from_fn(|i| CopySegment(from, Operand::At(bytes.byte(i as u64 * 2)), 1));
        s.copy(dev, segments, &all);
        s.load(bytes);
        s.load(bytes.byte(1));
        s.load(bytes.byte(78));
    }),
    scenario("copy-from-an-unused-reference", |s| {
        let (dev, segments, bytes) = memory(s);
        s.store(bytes, 1);
        let from = Operand::Granted(unused(s), 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes), 8)]);
        s.load(bytes);
    }),
    scenario("copy-from-a-reference-beyond-the-table", |s| {
        let (dev, segments, bytes) = memory(s);
        let from = Operand::Granted(Grant::raw(s.domid().into(), u32::MAX), 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes), 8)]);
    }),
    scenario("copy-from-a-domain-that-is-not-there", |s| {
        let (dev, segments, bytes) = memory(s);
        let from = Operand::Granted(Grant::raw(32_000, 8), 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes), 8)]);
    }),
    scenario("copy-from-a-readonly-grant", |s| {
        let ((dev, segments, bytes), page) = (memory(s), s.share_readonly(1));
        let from = Operand::Granted(page.grants[0], 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes), 8)]);
    }),
    scenario("copy-to-a-readonly-grant", |s| {
        let ((dev, segments, bytes), page) = (memory(s), s.share_readonly(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        s.store(bytes, 1);
        let to = Operand::Granted(page.grants[0], 0);
        s.copy(dev, segments, &[CopySegment(Operand::At(bytes), to, 8)]);
        s.load(local);
    }),
    scenario("copy-good-between-refused", |s| {
        let ((dev, segments, bytes), (page, local)) = (memory(s), target(s));
        s.store(local, 7);
        let (good, bad) = (Operand::Granted(page.grants[0], 0), Operand::Granted(unused(s), 0));
        let all = [bad, good, bad].map(|from| CopySegment(from, Operand::At(bytes), 1));
        s.copy(dev, segments, &all);
        s.load(bytes);
    }),
    scenario("copy-of-a-mapped-grant", |s| {
        let ((dev, segments, bytes), (page, _)) = (memory(s), target(s));
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.store(at, 12);
        let from = Operand::Granted(page.grants[0], 0);
        s.copy(dev, segments, &[CopySegment(from, Operand::At(bytes), 1)]);
        s.load(bytes);
    }),
];
