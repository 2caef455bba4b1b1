// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels: no event is lost, and the end of a peer is noticed.

mod common;

use std::cell::Cell;
use std::sync::atomic::Ordering;

use common::{ALICE, BOB, domid};
use drivers::events::PortStatus;
use drivers::{Call, Errno, PortNumber};
use fake_xen::{Config, Pair, Task};
use xen_sys::xen::Virq;

#[test]
fn ten_thousand_round_trips_lose_nothing() {
    let pair = Pair::new();
    let (alice, bob) = pair.alice.channel(&pair.bob);
    let (rounds, trips) = (10_000, Cell::new(0));
    let ping = async {
        for _ in 0..rounds {
            alice.send().unwrap();
            alice.wait().await;
            trips.set(trips.get() + 1);
        }
    };
    let pong = async {
        // A bound port starts with an event of its own.
        bob.wait().await;
        for _ in 0..rounds {
            bob.wait().await;
            bob.send().unwrap();
        }
    };
    // Alice starts after Bob's first event is taken, or the two events would become one.
    pair.bob.events.dispatch();
    pair.world.run([Task::new(&pair.bob.events, pong), Task::new(&pair.alice.events, ping)]);
    assert_eq!(trips.get(), rounds);
}

#[test]
fn a_send_between_a_wake_up_and_the_next_wait_is_seen() {
    let pair = Pair::new();
    let (alice, bob) = pair.alice.channel(&pair.bob);
    let test = async {
        for _ in 0..100 {
            bob.send().unwrap();
            alice.wait().await;
            // Sent while Alice runs, before she waits again.
            bob.send().unwrap();
            alice.wait().await;
        }
    };
    pair.world.run([Task::new(&pair.alice.events, test)]);
}

#[test]
fn several_sends_before_one_dispatch_are_one_event() {
    let pair = Pair::new();
    let (alice, bob) = pair.alice.channel(&pair.bob);
    for _ in 0..5 {
        bob.send().unwrap();
    }
    assert_eq!(pair.alice.events.dispatch(), 1);
    assert_eq!(pair.alice.events.dispatch(), 0);
    assert!(alice.is_pending());
}

#[test]
fn all_waiters_at_a_port_are_woken() {
    let pair = Pair::new();
    let (alice, bob) = pair.alice.channel(&pair.bob);
    let woken = Cell::new(0);
    // More than the entry has room for.
    let waiters = (0..5).map(|_| async {
        alice.wait_beyond(0).await;
        woken.set(woken.get() + 1);
    });
    let events = &pair.alice.events;
    let mut tasks: Vec<_> = waiters.map(|waiter| Task::new(events, waiter)).collect();
    let sender = async {
        pair.bob.system.sleep_until(1000).await;
        bob.send().unwrap();
    };
    tasks.push(Task::new(&pair.bob.events, sender));
    pair.world.run(tasks);
    assert_eq!(woken.get(), 5);
}

#[test]
fn a_selector_bit_that_xen_set_is_never_left_behind() {
    let pair = Pair::new();
    let ports: Vec<_> =
        (0..130).map(|_| pair.alice.events.alloc_unbound(domid(BOB)).unwrap()).collect();
    let ends: Vec<_> = ports
        .iter()
        .map(|port| pair.bob.events.bind_interdomain(domid(ALICE), port.number()).unwrap())
        .collect();
    for end in &ends {
        end.send().unwrap();
    }
    assert_eq!(pair.alice.events.dispatch(), 130, "three words of ports in one pass");
    let vcpu = &pair.alice.xen.shared_info().vcpu_info[0];
    assert_eq!(vcpu.evtchn_pending_sel.load(Ordering::SeqCst), 0);
    assert_eq!(vcpu.evtchn_upcall_pending.load(Ordering::SeqCst), 0);
    ends[0].send().unwrap();
    assert_eq!(vcpu.evtchn_upcall_pending.load(Ordering::SeqCst), 1, "the next one rings");
}

#[test]
fn a_bound_port_has_its_first_event_at_once_whatever_its_word() {
    let pair = Pair::new();
    let mut ends = Vec::new();
    for _ in 0..130 {
        ends.push(pair.alice.channel(&pair.bob));
        assert_eq!(pair.bob.events.dispatch(), 1, "{} ports", ends.len());
    }
}

#[test]
fn the_end_of_a_peer_shows_in_our_ports_status() {
    let pair = Pair::new();
    let alice = pair.alice.events.alloc_unbound(domid(BOB)).unwrap();
    assert_eq!(alice.status(), Ok(PortStatus::Unbound(BOB)));
    let bob = pair.bob.events.bind_interdomain(domid(ALICE), alice.number()).unwrap();
    assert_eq!(alice.status(), Ok(PortStatus::Interdomain(BOB, bob.number())));
    drop(bob);
    assert_eq!(alice.status(), Ok(PortStatus::Unbound(BOB)), "closed");
    let bob = pair.bob.events.bind_interdomain(domid(ALICE), alice.number()).unwrap();
    pair.world.destroy(BOB);
    assert_eq!(alice.status(), Ok(PortStatus::Unbound(BOB)), "destroyed");
    assert_eq!(alice.send(), Ok(()), "nobody is there to hear it");
    std::mem::forget(bob);
}

#[test]
fn binding_a_port_that_is_not_offered_is_refused() {
    let pair = Pair::new();
    let alice = pair.alice.events.alloc_unbound(domid(9)).unwrap();
    let bind =
        |domain, port| pair.bob.events.bind_interdomain(domid(domain), port).unwrap_err().errno();
    assert_eq!(bind(ALICE, alice.number()), Errno::EINVAL, "offered to somebody else");
    assert_eq!(bind(ALICE, PortNumber(u32::MAX)), Errno::EINVAL);
    assert_eq!(bind(77, alice.number()), Errno::ESRCH);
}

#[test]
fn beyond_the_last_port_is_enospc_and_a_closed_one_is_reused_without_old_events() {
    let config = Config { max_ports: 10, ..Config::default() };
    let pair = Pair::of(config, Config::default());
    let mut ports = Vec::new();
    let error = loop {
        match pair.alice.events.alloc_unbound(domid(BOB)) {
            Ok(port) => ports.push(port),
            Err(error) => break error,
        }
    };
    assert_eq!(error.errno(), Errno::ENOSPC);
    let last = ports.pop().unwrap();
    let number = last.number();
    let bob = pair.bob.events.bind_interdomain(domid(ALICE), number).unwrap();
    bob.send().unwrap();
    drop((last, bob));
    let again = pair.alice.events.alloc_unbound(domid(BOB)).unwrap();
    assert_eq!(again.number(), number);
    pair.alice.events.dispatch();
    assert!(!again.is_pending(), "the event was for the channel before");
}

#[test]
fn a_port_closes_with_its_last_holder() {
    let pair = Pair::new();
    let open = pair.alice.events.open_ports();
    let port = pair.alice.events.alloc_unbound(domid(BOB)).unwrap();
    let other = pair.alice.events.hold(port.number()).unwrap();
    drop(port);
    assert_eq!(pair.alice.events.open_ports(), open + 1);
    let number = other.number();
    drop(other);
    assert_eq!(pair.alice.events.open_ports(), open);
    assert_eq!(pair.alice.events.hold(number).unwrap_err().errno(), Errno::EINVAL);
    for wrong in [0, 4096, u32::MAX] {
        let refused = pair.alice.events.hold(PortNumber(wrong)).unwrap_err();
        assert_eq!(refused.errno(), Errno::EINVAL, "{wrong}");
    }
}

#[test]
fn a_domain_exists_from_its_creation_until_it_is_destroyed() {
    let pair = Pair::new();
    let events = &pair.alice.events;
    let there = |number| events.domain_exists(domid(number));
    assert_eq!([there(ALICE), there(BOB), there(7)], [Ok(true), Ok(true), Ok(false)]);
    let seventh = pair.world.guest(7, Config::default());
    assert_eq!(there(7), Ok(true));
    drop(seventh);
    pair.world.destroy(7);
    assert_eq!(there(7), Ok(false));
    for (errno, expected) in [
        (Errno::EPERM, Ok(true)),
        (Errno::EACCES, Ok(true)),
        (Errno::EINVAL, Ok(true)),
        (Errno::ESRCH, Ok(false)),
        (Errno::ENOSYS, Err(Errno::ENOSYS)),
    ] {
        pair.alice.xen.deny(Call::EvtchnStatus, Some(errno));
        assert_eq!(there(BOB).map_err(|error| error.errno()), expected);
    }
}

#[test]
fn a_virtual_interrupt_is_bound_once() {
    let pair = Pair::new();
    let timer = pair.alice.events.bind_virq(Virq::TIMER).unwrap();
    assert_eq!(timer.status(), Ok(PortStatus::Virq(Virq::TIMER)));
    assert_eq!(pair.alice.events.bind_virq(Virq::TIMER).unwrap_err().errno(), Errno::EEXIST);
    assert_eq!(timer.send().unwrap_err().errno(), Errno::EINVAL);
    let console = pair.alice.events.bind_virq(Virq::CONSOLE).unwrap();
    assert_eq!(console.status(), Ok(PortStatus::Virq(Virq::CONSOLE)));
}

#[test]
fn an_event_on_a_port_that_nobody_opened_is_discarded() {
    let pair = Pair::new();
    let shared = pair.alice.xen.shared_info();
    shared.evtchn_mask[63].store(0, Ordering::SeqCst);
    shared.evtchn_pending[63].store(1 << 63, Ordering::SeqCst);
    shared.vcpu_info[0].evtchn_pending_sel.store(1 << 63, Ordering::SeqCst);
    assert_eq!(pair.alice.events.dispatch(), 1);
    assert_eq!(pair.alice.events.dispatch(), 0);
}
