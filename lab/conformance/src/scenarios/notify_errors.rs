// SPDX-License-Identifier: MIT OR Apache-2.0
//! SET_UNMAP_NOTIFY of gntdev: what it refuses, and the order of its checks.

use super::{CLEAR_BYTE, NO_PORT, SEND_EVENT, scenario};
use crate::Scenario;
use crate::names::Index;
use crate::script::RO;

pub(super) const ALL: &[Scenario] = &[
    scenario("notify-nothing-reserved", |s| {
        let (dev, channel) = (s.gntdev(), s.channel());
        s.notify(dev, Index::raw(0), CLEAR_BYTE, 0);
        s.notify(dev, Index::raw(1 << 40), SEND_EVENT, channel.sends);
        s.notify(dev, Index::raw(0), 0, 0);
    }),
    scenario("notify-after-remove", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.remove(dev, run, 1);
        s.notify(dev, run, CLEAR_BYTE, 0);
    }),
    scenario("notify-one-page-beyond", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.notify(dev, run.page(1), CLEAR_BYTE, 0);
        s.notify(dev, run.byte(4095), CLEAR_BYTE, 0);
    }),
    scenario("notify-unknown-action", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.notify(dev, run, 4, 0);
        s.notify(dev, run, CLEAR_BYTE | 0x8000_0000, 0);
    }),
    scenario("notify-no-such-port", |s| {
        let (dev, page) = (s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.notify(dev, run, SEND_EVENT, NO_PORT);
        s.notify(dev, run, SEND_EVENT, u32::MAX);
        s.notify(dev, run, CLEAR_BYTE, NO_PORT);
    }),
    scenario("notify-action-before-index", |s| {
        let dev = s.gntdev();
        s.notify(dev, Index::raw(0), 4, 0);
    }),
    scenario("notify-port-before-index", |s| {
        let dev = s.gntdev();
        s.notify(dev, Index::raw(0), SEND_EVENT, NO_PORT);
    }),
    scenario("notify-port-before-byte", |s| {
        let (dev, page, channel) = (s.gntdev(), s.share(1), s.channel());
        let run = s.reserve(dev, &page.grants);
        s.mmap(dev, run, 1, RO);
        s.notify(dev, run, CLEAR_BYTE | SEND_EVENT, NO_PORT);
        s.notify(dev, run, CLEAR_BYTE | SEND_EVENT, channel.sends);
    }),
    scenario("notify-refused-keeps-the-earlier", |s| {
        let (dev, page, channel) = (s.gntdev(), s.share(1), s.channel());
        let run = s.reserve(dev, &page.grants);
        s.notify(dev, run, SEND_EVENT, channel.sends);
        s.notify(dev, run, SEND_EVENT, NO_PORT);
        s.remove(dev, run, 1);
        s.rang(channel);
    }),
    scenario("notify-another-files-index", |s| {
        let (dev, other, page) = (s.gntdev(), s.gntdev(), s.share(1));
        let run = s.reserve(dev, &page.grants);
        s.notify(other, run, CLEAR_BYTE, 0);
    }),
];
