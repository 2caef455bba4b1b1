// SPDX-License-Identifier: MIT OR Apache-2.0
//! SET_UNMAP_NOTIFY of gntdev: the byte is cleared when its page is unmapped, the event is sent
//! when the reservation is gone.
//!
//! No scenario asks for a byte to be cleared before a read-only map: Linux would clear it through
//! its own read-only mapping.

use super::{CLEAR_BYTE, SEND_EVENT, scenario};
use crate::Scenario;
use crate::names::Mapped;
use crate::script::{RO, RW};

pub(super) const ALL: &[Scenario] = &[
    scenario("notify-byte-at-munmap", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.notify(dev, run.byte(9), CLEAR_BYTE, 0);
        s.store(at.byte(9), 1);
        s.store(at.byte(10), 1);
        s.munmap(at, 1);
        s.load(local.byte(9));
        s.load(local.byte(10));
    }),
    scenario("notify-byte-of-the-second-page", |s| {
        let (dev, pages) = (s.gntdev(), s.share(2));
        let local = s.mmap(pages.file, pages.index, 2, RW);
        let run = s.reserve(dev, &pages.grants);
        let at = s.mmap(dev, run, 2, RW);
        s.notify(dev, run.page(1).byte(4095), CLEAR_BYTE, 0);
        s.store(local.byte(4095), 1);
        s.store(local.page(1).byte(4095), 1);
        s.munmap(at, 2);
        s.load(local.byte(4095));
        s.load(local.page(1).byte(4095));
    }),
    scenario("notify-byte-set-before-mmap", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        let run = s.reserve(dev, &page.grants);
        s.notify(dev, run, CLEAR_BYTE, 0);
        let at = s.mmap(dev, run, 1, RW);
        s.store(at, 1);
        s.munmap(at, 1);
        s.load(local);
    }),
    scenario("notify-byte-without-a-map", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        let run = s.reserve(dev, &page.grants);
        s.notify(dev, run, CLEAR_BYTE, 0);
        s.store(local, 1);
        s.remove(dev, run, 1);
        s.load(local);
    }),
    scenario("notify-byte-of-a-readonly-map", |s| {
        let Mapped { dev, run, .. } = s.mapped(1, RO);
        s.notify(dev, run, CLEAR_BYTE, 0);
    }),
    scenario("notify-event-of-a-readonly-map", |s| {
        let (dev, page, channel) = (s.gntdev(), s.share(1), s.channel());
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RO);
        s.notify(dev, run, SEND_EVENT, channel.sends);
        s.munmap(at, 1);
        s.rang(channel);
        s.remove(dev, run, 1);
        s.rang(channel);
    }),
    scenario("notify-event-at-remove", |s| {
        let (dev, page, channel) = (s.gntdev(), s.share(1), s.channel());
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.notify(dev, run, SEND_EVENT, channel.sends);
        s.rang(channel);
        s.munmap(at, 1);
        s.rang(channel);
        s.remove(dev, run, 1);
        s.rang(channel);
        s.rang(channel);
    }),
    scenario("notify-event-without-a-map", |s| {
        let (dev, page, channel) = (s.gntdev(), s.share(1), s.channel());
        let run = s.reserve(dev, &page.grants);
        s.notify(dev, run, SEND_EVENT, channel.sends);
        s.remove(dev, run, 1);
        s.rang(channel);
    }),
    scenario("notify-event-at-close", |s| {
        let (dev, page, channel) = (s.gntdev(), s.share(1), s.channel());
        let run = s.reserve(dev, &page.grants);
        s.notify(dev, run, SEND_EVENT, channel.sends);
        s.close(dev);
        s.rang(channel);
    }),
    scenario("notify-event-of-a-closed-file-at-munmap", |s| {
        let (dev, page, channel) = (s.gntdev(), s.share(1), s.channel());
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.notify(dev, run, SEND_EVENT, channel.sends);
        s.close(dev);
        s.rang(channel);
        s.munmap(at, 1);
        s.rang(channel);
    }),
    scenario("notify-both", |s| {
        let (dev, page, channel) = (s.gntdev(), s.share(1), s.channel());
        let local = s.mmap(page.file, page.index, 1, RW);
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.notify(dev, run.byte(3), CLEAR_BYTE | SEND_EVENT, channel.sends);
        s.store(local.byte(3), 1);
        s.munmap(at, 1);
        s.load(local.byte(3));
        s.rang(channel);
        s.close(dev);
        s.rang(channel);
    }),
    scenario("notify-fires-once", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.notify(dev, run, CLEAR_BYTE, 0);
        s.munmap(at, 1);
        s.store(local, 1);
        s.remove(dev, run, 1);
        s.load(local);
    }),
    scenario("notify-replaced-byte", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let local = s.mmap(page.file, page.index, 1, RW);
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.notify(dev, run.byte(1), CLEAR_BYTE, 0);
        s.notify(dev, run.byte(2), CLEAR_BYTE, 0);
        s.store(local.byte(1), 1);
        s.store(local.byte(2), 2);
        s.munmap(at, 1);
        s.load(local.byte(1));
        s.load(local.byte(2));
    }),
    scenario("notify-replaced-event", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let (first, second) = (s.channel(), s.channel());
        let run = s.reserve(dev, &page.grants);
        s.notify(dev, run, SEND_EVENT, first.sends);
        s.notify(dev, run, SEND_EVENT, second.sends);
        s.remove(dev, run, 1);
        s.rang(first);
        s.rang(second);
    }),
    scenario("notify-taken-back", |s| {
        let (dev, page, channel) = (s.gntdev(), s.share(1), s.channel());
        let run = s.reserve(dev, &page.grants);
        s.notify(dev, run, SEND_EVENT, channel.sends);
        s.notify(dev, run, 0, 0);
        s.remove(dev, run, 1);
        s.rang(channel);
    }),
    scenario("notify-event-of-two-pages", |s| {
        let (dev, pages, channel) = (s.gntdev(), s.share(2), s.channel());
        let run = s.reserve(dev, &pages.grants);
        let at = s.mmap(dev, run, 2, RW);
        s.notify(dev, run.page(1), SEND_EVENT, channel.sends);
        s.munmap(at, 2);
        s.rang(channel);
        s.remove(dev, run, 2);
        s.rang(channel);
    }),
];
