//! Ports: who holds one, and what it begins and ends with.

mod common;

use std::sync::atomic::Ordering;

use common::{BOB, domid, errno};
use drivers::{Call, Errno};
use fake_xen::heap::{self, Heap};
use fake_xen::{Config, Guest, Pair, World};

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
    // The next port is one that there was no room for before.
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
fn what_nobody_has_opened_is_masked() {
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
fn input_that_was_taken_is_told_to_the_daemon() {
    let guest = World::new().guest(1, Config::default());
    guest.xen.console_daemon(false);
    guest.xen.console_ring().in_prod.store(3, Ordering::SeqCst);
    let before = guest.system.counters().calls(Call::EvtchnSend);
    let mut bytes = [0; 8];
    let read = async { assert_eq!(guest.console.input(&mut bytes).await, 3) };
    guest.xen.world().run([fake_xen::Task::new(&guest.events, read)]);
    assert_eq!(guest.system.counters().calls(Call::EvtchnSend), before + 1);
}
