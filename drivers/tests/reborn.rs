// SPDX-License-Identifier: MIT OR Apache-2.0
//! A domid is reused: the new domain gets nothing of the old one's, and values of the old one that
//! are still held somewhere don't touch the new one.

mod common;

use std::mem;
use std::pin::pin;
use std::task::Poll;

use common::{ALICE, BOB, bytes, errno};
use drivers::events::PortStatus;
use drivers::gntdev::ReadWrite;
use drivers::shared::SharedMut;
use drivers::xenstore::Reader;
use drivers::{Access, Errno, Error, GrantRef, GrantStatus, Pages};
use embassy_futures::poll_once;
use embassy_futures::select::select;
use embassy_futures::yield_now;
use fake_xen::{Config, Guest, Pair, Task};

/// Destroys Bob, and creates another domain with his domid.
fn another_bob(pair: &mut Pair) -> Guest {
    pair.world.destroy(BOB);
    let new = pair.world.guest(BOB, Config::default());
    mem::replace(&mut pair.bob, new)
}

#[test]
fn a_recreated_granter_grants_nothing_that_the_old_one_did() {
    let mut pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let grants = pair.alice.offer(&export);
    let reservation = pair.bob.reserve(&grants);
    pair.world.destroy(ALICE);
    let new = pair.world.guest(ALICE, Config::default());
    let old = mem::replace(&mut pair.alice, new);
    let failed = reservation.map::<ReadWrite>().expect_err("nothing is granted");
    assert_eq!(failed.error.status(), Some(GrantStatus::GENERAL_ERROR));

    // The same reference now names another page, which is zeroed.
    let again = pair.alice.share(&pair.bob, 2);
    assert_eq!(pair.alice.offer(&again), grants);
    let mapping = failed.value.map::<ReadWrite>().expect("granted");
    assert_eq!(bytes::<8>(&mapping, 0), [0; 8]);
    mapping.write(0, b"new").unwrap();

    // The old domain's values change nothing of it.
    let _ = export.write(0, b"old");
    drop((export, old));
    assert_eq!((&bytes(&mapping, 0), &bytes(&again, 0)), (b"new", b"new"));
    assert!(!again.is_idle());
    drop((mapping, again));
    pair.assert_clean();
}

#[test]
fn a_recreated_mapper_maps_nothing_and_an_ended_grant_is_not_its_own() {
    let mut pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let grants = pair.alice.offer(&export);
    let mapping = pair.bob.map::<ReadWrite>(&grants);
    let export = export.end().expect_err("mapped").0;
    let old = another_bob(&mut pair);
    assert!(export.is_idle(), "the new domain maps nothing");
    assert!(export.end().is_ok());
    let failed = pair.bob.reserve(&grants).map::<ReadWrite>().expect_err("ended");
    assert_eq!(failed.error.status(), Some(GrantStatus::GENERAL_ERROR));
    drop(failed);

    // A page mapped by the new domain isn't unmapped by the old domain's value.
    let export = pair.alice.share(&pair.bob, 2);
    let again = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    drop((mapping, old));
    again.write(0, b"mine").unwrap();
    assert_eq!(&bytes(&export, 0), b"mine");
    drop((again, export));
    pair.assert_clean();
}

#[test]
fn a_grant_that_nobody_ended_is_open_to_the_new_domain_as_in_xen() {
    let mut pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    another_bob(&mut pair);
    let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    assert!(!export.is_idle());
    drop((mapping, export));
    pair.assert_clean();
}

#[test]
fn a_channel_ends_with_its_peer_and_sends_nothing_to_the_new_one() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.alice.channel(&pair.bob);
    let number = theirs.number();
    mem::forget(theirs);
    let old = another_bob(&mut pair);
    // Its first new port gets the same number.
    let new = pair.bob.events.alloc_unbound(pair.alice.domid).unwrap();
    assert_eq!(new.number(), number);
    assert_eq!(ours.status(), Ok(PortStatus::Unbound(BOB)));
    ours.send().unwrap();
    pair.bob.events.dispatch();
    assert_eq!(new.delivered(), 0);
    assert_eq!(errno(old.events.alloc_unbound(pair.alice.domid)), Errno::ESRCH);
}

#[test]
fn a_node_is_readable_to_the_new_domain_only_if_published_again() {
    let Pair { world, alice, bob } = Pair::new();
    let test = async {
        let store = alice.xenstore.as_ref().expect("an ordinary guest has xenstore");
        let publish = |value| store.publish("data/node", value, Reader::Domain(bob.domid));
        let node = publish(b"for the old one").await.unwrap();
        world.destroy(BOB);
        let new = world.guest(BOB, Config::default());
        assert_eq!(errno(read_by(&new, "/local/domain/1/data/node").await), Errno::EACCES);
        drop(node);
        let _node = publish(b"for the new one").await.unwrap();
        let read = read_by(&new, "/local/domain/1/data/node").await;
        assert_eq!(read.unwrap(), b"for the new one");
    };
    let both = async {
        select(test, alice.upkeep()).await;
    };
    world.run([Task::new(&alice.events, both)]);
}

/// Reads a node for a guest without a task of its own.
async fn read_by(guest: &Guest, node: &str) -> Result<Vec<u8>, Error> {
    let store = guest.xenstore.clone().expect("an ordinary guest has xenstore");
    let mut read = pin!(store.read(node));
    loop {
        guest.events.dispatch();
        if let Poll::Ready(answer) = poll_once(read.as_mut()) {
            return answer;
        }
        yield_now().await;
    }
}

#[test]
fn hypercalls_of_the_old_domain_are_refused() {
    let mut pair = Pair::new();
    let reserved = pair.bob.reserve(&[pair.alice.domid.grant(GrantRef(8))]);
    let old = another_bob(&mut pair);
    let device = old.gntalloc.open();
    let refused = device.alloc(pair.alice.domid, Pages(1), Access::ReadWrite);
    assert_eq!(errno(refused.map(drop)), Errno::ENOMEM);
    let failed = reserved.map::<ReadWrite>().expect_err("it is dead");
    assert_eq!(failed.error.errno(), Errno::ESRCH);
    drop((failed, device, old));
    pair.assert_clean();
}
