//! Both sides let go, in every order that there is, and a peer dies between any two steps.

mod common;

use common::{ALICE, BOB, claim, domid, pair};
use drivers::events::Port;
use drivers::gntalloc::{self, Busy, Export};
use drivers::gntdev::{self, Mapping, ReadWrite, Reservation};
use drivers::notify::{CLEAR_BYTE, SEND_EVENT, UnmapNotify};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, Error, ForeignGrant, GrantRef, Hypervisor, Services};
use fake_xen::FakeXen;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Alice ends her grants, or leaves it if they are mapped.
    AEnds,
    BUnmaps,
    BCloses,
    ACloses,
    ADies,
    BDies,
}

use Step::*;

/// Every order of some or all steps in which nobody acts after his death.
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
fn every_order_of_letting_go_leaves_nothing_and_reuses_no_page_that_is_mapped() {
    let orders = orders();
    assert!(orders.len() > 300, "{} orders", orders.len());
    for order in orders.into_iter().step_by(if cfg!(miri) { 60 } else { 1 }) {
        let pair = pair();
        let alice_port = pair.alice.events.alloc_unbound(domid(BOB)).unwrap();
        let bob_port = pair.bob.events.bind_interdomain(domid(ALICE), alice_port.number()).unwrap();
        let notify = |port: &Port<FakeXen>| UnmapNotify {
            action: CLEAR_BYTE | SEND_EVENT,
            port: port.number(),
        };
        let alice = pair.alice.gntalloc.open().unwrap();
        let bob = pair.bob.gntdev.open().unwrap();
        let export = alice.alloc(domid(BOB), 3, Access::ReadWrite).unwrap();
        let grants: Vec<_> = export.grefs().map(|gref| claim(ALICE, gref.0)).collect();
        export.set_notify(4000, notify(&alice_port)).unwrap();
        export.write(100, &CANARY).unwrap();
        let mapping = bob.insert(&grants).unwrap().map::<ReadWrite>().unwrap();
        mapping.set_notify(4001, notify(&bob_port)).unwrap();
        let (mut alice, mut bob) = (Some(alice), Some(bob));
        let (mut export, mut mapping) = (Some(export), Some(mapping));
        let sent = |guest: &Services<FakeXen>| guest.xen.counters().calls(Call::EvtchnSend);
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
                // What is mapped pins it.
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
                // Whatever alice did, the page is what it was.
                let mut seen = [0; 6];
                mapping.read(100, &mut seen).unwrap();
                assert_eq!(seen, CANARY, "{order:?}");
            }
            if !order.contains(&ADies) {
                let parked = pair.alice.gntalloc.parked();
                pair.alice.gntalloc.reap(u32::MAX);
                let left = if mapping.is_some() { parked } else { 0 };
                assert_eq!(pair.alice.gntalloc.parked(), left, "{order:?}");
            }
        }
        // The last ones who live let go; each has been told of once.
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

/// What both have in the course of a life.
#[derive(Default)]
struct Life {
    alice: Option<gntalloc::Handle<FakeXen>>,
    bob: Option<gntdev::Handle<FakeXen>>,
    export: Option<Export<FakeXen>>,
    offered: Vec<GrantRef>,
    reservation: Option<Reservation<FakeXen>>,
    mapping: Option<Mapping<FakeXen, ReadWrite>>,
    by_index: Option<u64>,
}

type Act = fn(&mut Life, &Services<FakeXen>) -> Result<(), Error>;

/// The steps of a life: whose each is, and what it does.
const STEPS: [(u16, Act); 14] = [
    (ALICE, |life, alice| alice.gntalloc.open().map(|handle| life.alice = Some(handle))),
    (BOB, |life, bob| bob.gntdev.open().map(|handle| life.bob = Some(handle))),
    (ALICE, |life, _| {
        let export = life.alice.as_ref().unwrap().alloc(domid(BOB), 4, Access::ReadWrite)?;
        life.offered = export.grefs().collect();
        life.export = Some(export);
        Ok(())
    }),
    (BOB, |life, _| {
        let grants: Vec<_> =
            life.offered.iter().map(|gref| ForeignGrant { domid: ALICE, gref: *gref }).collect();
        let bob = life.bob.as_ref().unwrap();
        if !grants.is_empty() {
            life.reservation = Some(bob.insert(&grants)?);
            life.by_index = Some(bob.map_grant_ref(&grants[..1])?);
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
            // A granter who is gone is bad_domain; the reservation stays.
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
            life.reservation = mapping.unmap()?;
        }
        Ok(())
    }),
    (BOB, |life, _| {
        life.reservation = None;
        match life.by_index.take() {
            Some(index) => life.bob.as_ref().unwrap().unmap_grant_ref(index, 1),
            None => Ok(()),
        }
    }),
    (ALICE, |life, _| {
        life.export = None;
        Ok(())
    }),
    (BOB, |life, _| {
        life.bob = None;
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
            let pair = pair();
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
