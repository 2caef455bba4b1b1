// SPDX-License-Identifier: MIT OR Apache-2.0
//! Both sides release their values in every order, and a peer dies between any two steps.

mod common;

use common::{ALICE, BOB, bytes};
use drivers::gntalloc::{self, Busy, Export};
use drivers::gntdev::{self, IndexDevice, Mapping, ReadWrite, Reservation};
use drivers::notify::UnmapNotify;
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, DomId, Error, GrantRef, Index, Pages};
use fake_xen::{FakeXen, Guest, Pair};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Alice ends her grants, or leaves them if they are mapped.
    AEnds,
    BUnmaps,
    BCloses,
    ACloses,
    ADies,
    BDies,
}

use Step::*;

/// Returns every order of some or all steps in which nobody acts after dying.
fn orders() -> Vec<Vec<Step>> {
    let legal = |done: &[Step], next: Step| {
        let dead = match next {
            AEnds | ACloses | ADies => ADies,
            BUnmaps | BCloses | BDies => BDies,
        };
        !done.contains(&next) && !done.contains(&dead)
    };
    let mut orders = vec![Vec::new()];
    let mut at = 0;
    while at < orders.len() {
        for next in [AEnds, BUnmaps, BCloses, ACloses, ADies, BDies] {
            if legal(&orders[at], next) {
                let mut longer = orders[at].clone();
                longer.push(next);
                orders.push(longer);
            }
        }
        at += 1;
    }
    orders
}

const CANARY: [u8; 6] = *b"canary";

#[test]
fn every_order_of_release_leaves_nothing_and_reuses_no_mapped_page() {
    let orders = orders();
    assert!(orders.len() > 300, "{} orders", orders.len());
    for order in orders.into_iter().step_by(if cfg!(miri) { 60 } else { 1 }) {
        let pair = Pair::new();
        let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
        let notify = |byte, port| UnmapNotify::clear_byte(byte).and_event(port);
        let alice = pair.alice.gntalloc.open();
        let bob = pair.bob.gntdev.open().unwrap();
        let mut export = alice.alloc(pair.bob.domid, Pages(3), Access::ReadWrite).unwrap();
        export.set_notify(notify(4000, &alice_port)).unwrap();
        export.write(100, &CANARY).unwrap();
        let reservation = bob.reserve(&pair.alice.offer(&export)).unwrap();
        let mut mapping = reservation.map::<ReadWrite>().unwrap();
        mapping.set_notify(notify(4001, &bob_port)).unwrap();
        let (mut alice, mut bob) = (Some(alice), Some(bob));
        let (mut export, mut mapping) = (Some(export), Some(mapping));
        let sent = |guest: &Guest| guest.system.counters().calls(Call::EvtchnSend);
        let (a_sent, b_sent) = (sent(&pair.alice), sent(&pair.bob));
        for step in &order {
            match step {
                AEnds => {
                    let mapped = mapping.is_some();
                    match export.take().map(Export::end) {
                        // Closed before.
                        None => {}
                        Some(Ok(())) => assert!(!mapped, "{order:?}"),
                        Some(Err(Busy(kept))) => {
                            assert!(mapped, "{order:?}");
                            export = Some(kept);
                        }
                    }
                }
                ACloses => {
                    export = None;
                    alice = None;
                }
                BUnmaps => mapping = None,
                // A mapping keeps the device open.
                BCloses => bob = None,
                ADies => {
                    pair.world.destroy(ALICE);
                    (export, alice) = (None, None);
                }
                BDies => {
                    pair.world.destroy(BOB);
                    (mapping, bob) = (None, None);
                }
            }
            if let Some(mapping) = &mapping {
                // Whatever Alice did, the page is unchanged.
                assert_eq!(bytes(mapping, 100), CANARY, "{order:?}");
            }
            if !order.contains(&ADies) {
                let parked = pair.alice.gntalloc.parked();
                pair.alice.gntalloc.reap(u32::MAX);
                let left = if mapping.is_some() { parked } else { 0 };
                assert_eq!(pair.alice.gntalloc.parked(), left, "{order:?}");
            }
        }
        // The survivors release their values; each side's notification was sent once.
        drop((export, alice, mapping, bob));
        if !order.contains(&ADies) {
            pair.alice.gntalloc.reap(u32::MAX);
            pair.alice.xen.assert_clean();
            assert_eq!(sent(&pair.alice) - a_sent, 1, "{order:?}");
        }
        if !order.contains(&BDies) {
            pair.bob.xen.assert_clean();
            assert_eq!(sent(&pair.bob) - b_sent, 1, "{order:?}");
        }
    }
}

/// What both hold in the course of a life.
#[derive(Default)]
struct Life {
    alice: Option<gntalloc::Device<FakeXen>>,
    bob: Option<gntdev::Device<FakeXen>>,
    bob_by_index: Option<IndexDevice<FakeXen>>,
    export: Option<Export<FakeXen>>,
    offered: Vec<GrantRef>,
    reservation: Option<Reservation<FakeXen>>,
    mapping: Option<Mapping<FakeXen, ReadWrite>>,
    index: Option<Index>,
}

type Act = fn(&mut Life, &Guest) -> Result<(), Error>;

/// The steps of a life: who takes it, and what it does.
const STEPS: [(u16, Act); 14] = [
    (ALICE, |life, alice| {
        life.alice = Some(alice.gntalloc.open());
        Ok(())
    }),
    (BOB, |life, bob| {
        life.bob = Some(bob.gntdev.open()?);
        life.bob_by_index = Some(bob.gntdev.open_indexed()?);
        Ok(())
    }),
    (ALICE, |life, _| {
        let bob = DomId::new(BOB).unwrap();
        let export = life.alice.as_ref().unwrap().alloc(bob, Pages(4), Access::ReadWrite)?;
        life.offered = export.grefs().collect();
        life.export = Some(export);
        Ok(())
    }),
    (BOB, |life, _| {
        let alice = DomId::new(ALICE).unwrap();
        let grants: Vec<_> = life.offered.iter().map(|gref| alice.grant(*gref)).collect();
        if !grants.is_empty() {
            life.reservation = Some(life.bob.as_ref().unwrap().reserve(&grants)?);
            let by_index = life.bob_by_index.as_ref().unwrap();
            life.index = Some(by_index.map_grant_ref(&grants[..1])?);
        }
        Ok(())
    }),
    (ALICE, |life, _| life.export.as_ref().unwrap().write(0, b"hello")),
    (BOB, |life, _| {
        let Some(reservation) = life.reservation.take() else {
            return Ok(());
        };
        match reservation.map::<ReadWrite>() {
            Ok(mapping) => life.mapping = Some(mapping),
            // A granter that is gone is bad_domain; the reservation stays.
            Err(failed) => life.reservation = Some(failed.value),
        }
        Ok(())
    }),
    (BOB, |life, _| match &life.mapping {
        Some(mapping) => mapping.write(5, b"back"),
        None => Ok(()),
    }),
    (ALICE, |life, _| life.export.as_ref().unwrap().read(5, &mut [0; 4])),
    (ALICE, |life, _| {
        life.export = life.export.take().unwrap().end().err().map(|Busy(export)| export);
        Ok(())
    }),
    (BOB, |life, _| {
        if let Some(mapping) = life.mapping.take() {
            life.reservation = Some(mapping.unmap()?);
        }
        Ok(())
    }),
    (BOB, |life, _| {
        life.reservation = None;
        match life.index.take() {
            Some(index) => life.bob_by_index.as_ref().unwrap().unmap_grant_ref(index, Pages(1)),
            None => Ok(()),
        }
    }),
    (ALICE, |life, _| {
        life.export = None;
        Ok(())
    }),
    (BOB, |life, _| {
        (life.bob, life.bob_by_index) = (None, None);
        Ok(())
    }),
    (ALICE, |life, _| {
        life.alice = None;
        Ok(())
    }),
];

#[test]
fn a_peer_that_dies_between_any_two_steps_leaves_the_other_whole() {
    for victim in [ALICE, BOB] {
        for death in (0..=STEPS.len()).step_by(if cfg!(miri) { 5 } else { 1 }) {
            let pair = Pair::new();
            let mut life = Life::default();
            for (number, (who, act)) in STEPS.iter().enumerate() {
                if number == death {
                    pair.world.destroy(victim);
                }
                if *who == victim && number >= death {
                    continue;
                }
                let guest = if *who == ALICE { &pair.alice } else { &pair.bob };
                act(&mut life, guest)
                    .unwrap_or_else(|error| panic!("{victim} dead at {death}, {number}: {error}"));
            }
            drop(life);
            let survivor = if victim == ALICE { &pair.bob } else { &pair.alice };
            survivor.gntalloc.reap(u32::MAX);
            survivor.xen.assert_clean();
        }
    }
}
