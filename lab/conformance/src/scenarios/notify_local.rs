// SPDX-License-Identifier: MIT OR Apache-2.0
//! SET_UNMAP_NOTIFY of gntalloc: it takes effect when the last local user releases a page.

use super::{CLEAR_BYTE, NO_PORT, SEND_EVENT, scenario};
use crate::Scenario;
use crate::names::{Index, Mapped};
use crate::script::{RO, RW};

pub(super) const ALL: &[Scenario] = &[
    scenario("local-notify-byte-at-dealloc", |s| {
        let Mapped { pages, at, .. } = s.mapped(1, RW);
        s.notify(pages.file, pages.index.byte(5), CLEAR_BYTE, 0);
        s.store(at.byte(5), 1);
        s.store(at.byte(6), 1);
        s.dealloc(pages.file, pages.index, 1);
        s.load(at.byte(5));
        s.load(at.byte(6));
    }),
    scenario("local-notify-event-at-dealloc", |s| {
        let (page, channel) = (s.share(1), s.channel());
        s.notify(page.file, page.index, SEND_EVENT, channel.sends);
        s.rang(channel);
        s.dealloc(page.file, page.index, 1);
        s.rang(channel);
        s.rang(channel);
    }),
    scenario("local-notify-event-while-the-peer-maps", |s| {
        let (dev, page, channel) = (s.gntdev(), s.share(1), s.channel());
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.notify(page.file, page.index, SEND_EVENT, channel.sends);
        s.dealloc(page.file, page.index, 1);
        s.rang(channel);
        s.munmap(at, 1);
        s.rang(channel);
    }),
    scenario("local-notify-waits-for-the-last-user", |s| {
        let (page, channel) = (s.share(1), s.channel());
        let (one, two) =
            (s.mmap(page.file, page.index, 1, RW), s.mmap(page.file, page.index, 1, RO));
        s.notify(page.file, page.index, SEND_EVENT, channel.sends);
        s.dealloc(page.file, page.index, 1);
        s.rang(channel);
        s.munmap(one, 1);
        s.rang(channel);
        s.munmap(two, 1);
        s.rang(channel);
    }),
    scenario("local-notify-not-at-munmap-alone", |s| {
        let (page, channel) = (s.share(1), s.channel());
        let local = s.mmap(page.file, page.index, 1, RW);
        s.notify(page.file, page.index, SEND_EVENT, channel.sends);
        s.munmap(local, 1);
        s.rang(channel);
    }),
    scenario("local-notify-at-close", |s| {
        let (dev, page, channel) = (s.gntdev(), s.share(1), s.channel());
        let run = s.reserve(dev, &page.grants);
        let at = s.mmap(dev, run, 1, RW);
        s.notify(page.file, page.index, CLEAR_BYTE | SEND_EVENT, channel.sends);
        s.store(at, 1);
        s.close(page.file);
        s.rang(channel);
        s.load(at);
    }),
    scenario("local-notify-at-munmap-of-a-closed-file", |s| {
        let (page, channel) = (s.share(1), s.channel());
        let local = s.mmap(page.file, page.index, 1, RW);
        s.notify(page.file, page.index, SEND_EVENT, channel.sends);
        s.close(page.file);
        s.rang(channel);
        s.munmap(local, 1);
        s.rang(channel);
    }),
    scenario("local-notify-of-each-page", |s| {
        let Mapped { pages, at, .. } = s.mapped(2, RW);
        s.notify(pages.file, pages.index, CLEAR_BYTE, 0);
        s.notify(pages.file, pages.index.page(1).byte(1), CLEAR_BYTE, 0);
        s.store(at, 1);
        s.store(at.page(1).byte(1), 2);
        s.dealloc(pages.file, pages.index, 1);
        s.load(at);
        s.load(at.page(1).byte(1));
        s.dealloc(pages.file, pages.index.page(1), 1);
        s.load(at.page(1).byte(1));
    }),
    scenario("local-notify-replaced", |s| {
        let page = s.share(1);
        let (first, second) = (s.channel(), s.channel());
        s.notify(page.file, page.index, SEND_EVENT, first.sends);
        s.notify(page.file, page.index, SEND_EVENT, second.sends);
        s.dealloc(page.file, page.index, 1);
        s.rang(first);
        s.rang(second);
    }),
    scenario("local-notify-taken-back", |s| {
        let (page, channel) = (s.share(1), s.channel());
        s.notify(page.file, page.index, SEND_EVENT, channel.sends);
        s.notify(page.file, page.index, 0, 0);
        s.dealloc(page.file, page.index, 1);
        s.rang(channel);
    }),
    scenario("local-notify-nothing-allocated", |s| {
        let (file, channel) = (s.gntalloc(), s.channel());
        s.notify(file, Index::raw(0), CLEAR_BYTE, 0);
        s.notify(file, Index::raw(1 << 40), SEND_EVENT, channel.sends);
    }),
    scenario("local-notify-unknown-action", |s| {
        let page = s.share(1);
        s.notify(page.file, page.index, 4, 0);
        s.notify(page.file, page.index, 0xffff_ffff, 0);
    }),
    scenario("local-notify-no-such-port", |s| {
        let page = s.share(1);
        s.notify(page.file, page.index, SEND_EVENT, NO_PORT);
        s.notify(page.file, page.index, SEND_EVENT, u32::MAX);
        s.notify(page.file, page.index, CLEAR_BYTE, NO_PORT);
    }),
    scenario("local-notify-index-before-action", |s| {
        let file = s.gntalloc();
        s.notify(file, Index::raw(0), 4, 0);
    }),
    scenario("local-notify-index-before-port", |s| {
        let file = s.gntalloc();
        s.notify(file, Index::raw(0), SEND_EVENT, NO_PORT);
    }),
    scenario("local-notify-action-before-port", |s| {
        let page = s.share(1);
        s.notify(page.file, page.index, SEND_EVENT | 4, NO_PORT);
    }),
    scenario("local-notify-after-dealloc", |s| {
        let page = s.share(1);
        s.mmap(page.file, page.index, 1, RW);
        s.dealloc(page.file, page.index, 1);
        s.notify(page.file, page.index, CLEAR_BYTE, 0);
    }),
    scenario("local-notify-refused-keeps-the-earlier", |s| {
        let (page, channel) = (s.share(1), s.channel());
        s.notify(page.file, page.index, SEND_EVENT, channel.sends);
        s.notify(page.file, page.index, SEND_EVENT, NO_PORT);
        s.dealloc(page.file, page.index, 1);
        s.rang(channel);
    }),
    scenario("local-notify-another-files", |s| {
        let (page, other) = (s.share(1), s.gntalloc());
        s.notify(other, page.index, CLEAR_BYTE, 0);
    }),
];
