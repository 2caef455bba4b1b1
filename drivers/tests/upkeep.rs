// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's background work costs nothing while there is nothing to do.

mod common;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;

use common::domid;
use drivers::gntdev::ReadWrite;
use drivers::xenstore::Reader;
use drivers::{Call, Errno};
use embassy_futures::select::select;
use fake_xen::{Config, Guest, Pair, Task};

const SECOND: u64 = 1_000_000_000;

/// Runs Alice's upkeep next to `test`, which gets a function that counts the polls in a minute.
fn beside_upkeep(alice: &Guest, test: impl AsyncFnOnce(&dyn Fn() -> u32)) {
    let polls = Cell::new(0);
    let counted = async {
        let mut upkeep = pin!(alice.upkeep());
        poll_fn(|cx| {
            polls.set(polls.get() + 1);
            upkeep.as_mut().poll(cx)
        })
        .await;
    };
    let upkeep = async {
        select(counted, test(&|| polls.replace(0))).await;
    };
    alice.xen.world().run([Task::new(&alice.events, upkeep)]);
}

async fn pause(guest: &Guest, seconds: u64) {
    guest.system.sleep_until(guest.system.now() + seconds * SECOND).await;
}

#[test]
fn no_timer_wakes_an_upkeep_with_nothing_to_do() {
    let Pair { alice, .. } = Pair::new();
    beside_upkeep(&alice, async |polls| {
        pause(&alice, 60).await;
        assert!(polls() <= 2);
    });
}

#[test]
fn no_timer_wakes_an_upkeep_that_has_finished_its_work() {
    let pair = Pair::new();
    let Pair { world, alice, bob } = &pair;
    beside_upkeep(alice, async |polls| {
        let export = alice.share(bob, 1);
        let theirs = bob.map::<ReadWrite>(&alice.offer(&export));
        let ours = alice.map::<ReadWrite>(&bob.offer(&bob.share(alice, 1)));
        alice.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
        drop((export, ours));
        let reader = Reader::Domain(domid(7));
        let _node = alice.xenstore.as_ref().unwrap().publish("data/a", b"", reader).await.unwrap();
        pause(alice, 60).await;
        assert!(polls() >= 600, "a page is parked, one is stuck, and a reader is awaited");
        assert_eq!((alice.gntalloc.parked(), alice.gntdev.usage().stuck), (1, 1));
        alice.xen.deny(Call::GnttabUnmap, None);
        drop(theirs);
        let _late = world.guest(7, Config::default());
        pause(alice, 2).await;
        assert_eq!((alice.gntalloc.parked(), alice.gntdev.usage().stuck), (0, 0));
        polls();
        pause(alice, 60).await;
        assert!(polls() <= 2);
    });
}
