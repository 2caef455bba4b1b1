// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ports: their holders, and their state when they open and close.

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{BOB, domid, errno};
use drivers::{Call, Errno};
use fake_xen::heap::{self, Heap};
use fake_xen::{Config, Guest, Pair, Task, World};

#[global_allocator]
static HEAP: Heap = Heap;

#[test]
fn a_new_holder_of_a_port_has_not_missed_what_came_before() {
    let pair = Pair::new();
    let (port, bobs) = pair.alice.channel(&pair.bob);
    bobs.send().unwrap();
    pair.alice.events.dispatch();
    let holder = pair.alice.events.hold(port.number()).unwrap();
    assert!(port.is_pending() && !holder.is_pending());
    bobs.send().unwrap();
    pair.alice.events.dispatch();
    assert!(holder.is_pending());
}

#[test]
fn a_port_for_which_there_is_no_memory_is_closed_again() {
    let config = Config { max_ports: 16, ..Config::default() };
    let [guest, fresh] = [(); 2].map(|()| World::new().guest(1, config));
    let open = guest.events.open_ports();
    // Use up the room, so that the next port needs more.
    let held = [(); 3].map(|()| guest.events.alloc_unbound(domid(BOB)).unwrap());
    for _ in 0..40 {
        let (port, refused) = heap::refuse(0, || guest.events.alloc_unbound(domid(BOB)));
        assert!(refused);
        assert_eq!(errno(port), Errno::ENOMEM);
    }
    drop(held);
    assert_eq!(guest.events.open_ports(), open);
    let all = |guest: &Guest| {
        let ports = std::iter::from_fn(|| guest.events.alloc_unbound(domid(BOB)).ok());
        ports.collect::<Vec<_>>().len()
    };
    assert_eq!(all(&guest), all(&fresh));
}

#[test]
fn ports_that_nobody_has_opened_are_masked() {
    let guest = World::new().guest(1, Config::default());
    let masks = &guest.xen.shared_info().evtchn_mask;
    assert!(masks[1..].iter().all(|word| word.load(Ordering::SeqCst) == u64::MAX));
    let open = guest.events.open_ports();
    assert_eq!(masks[0].load(Ordering::SeqCst).count_zeros(), open);
    let port = guest.events.alloc_unbound(domid(BOB)).unwrap();
    assert_eq!(masks[0].load(Ordering::SeqCst) >> port.number().0 & 1, 0);
    drop(port);
    assert_eq!(masks[0].load(Ordering::SeqCst).count_zeros(), open);
}

#[test]
fn the_daemon_is_notified_of_input_taken() {
    let guest = World::new().guest(1, Config::default());
    guest.xen.console_daemon(false);
    guest.xen.console_ring().in_prod.store(3, Ordering::SeqCst);
    let before = guest.system.counters().calls(Call::EvtchnSend);
    let mut bytes = [0; 8];
    let read = async { assert_eq!(guest.console.input(&mut bytes).await, 3) };
    guest.xen.world().run([Task::new(&guest.events, read)]);
    assert_eq!(guest.system.counters().calls(Call::EvtchnSend), before + 1);
}

#[test]
fn a_peer_that_closes_or_dies_is_noticed_within_half_a_second() {
    for dies in [false, true] {
        let Pair { world, alice, bob } = Pair::new();
        let (port, bobs) = alice.channel(&bob);
        let before = alice.system.counters().calls(Call::EvtchnStatus);
        let peer = async {
            bob.system.sleep(Duration::from_secs(3)).await;
            match dies {
                true => world.destroy(BOB),
                false => drop(bobs),
            }
        };
        let waits = async {
            port.peer_gone().await;
            let late = alice.system.now() / 1_000_000;
            assert!((3000..3500).contains(&late), "{late} ms");
            let asked = alice.system.counters().calls(Call::EvtchnStatus) - before;
            assert!(asked <= 10, "asked {asked} times");
            port.peer_gone().await;
        };
        world.run([Task::new(&alice.events, waits), Task::new(&bob.events, peer)]);
    }
}

#[test]
fn a_peer_that_never_came_counts_as_gone_and_so_does_one_xen_does_not_report() {
    let Pair { world, alice, bob } = Pair::new();
    let unbound = alice.events.alloc_unbound(bob.domid).unwrap();
    let (bound, _bobs) = alice.channel(&bob);
    let test = async {
        unbound.peer_gone().await;
        alice.xen.deny(Call::EvtchnStatus, Some(Errno::EACCES));
        bound.peer_gone().await;
        assert_eq!(alice.system.now(), 0);
    };
    world.run([Task::new(&alice.events, test)]);
}
