// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen and a peer act between any two accesses to the bits of event channels.

mod common;

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use common::{ALICE, BOB, domid};
use drivers::PortNumber;
use drivers::events::Port;
use embassy_futures::poll_once;
use fake_xen::{Config, FakeXen, Guest, Pair, explore};

fn pair() -> Pair {
    let small = Config { pages: 8, max_grant_frames: 1, ..Config::default() };
    Pair::of(small, small)
}

/// Whether everything pending is announced, since Xen announces nothing twice.
fn is_announced(guest: &Guest) -> bool {
    let shared = guest.xen.shared_info();
    let vcpu = &shared.vcpu_info[0];
    let upcall = vcpu.evtchn_upcall_pending.load(Ordering::SeqCst) != 0;
    let selected = vcpu.evtchn_pending_sel.load(Ordering::SeqCst);
    let words = shared.evtchn_pending.iter().zip(&shared.evtchn_mask);
    words.enumerate().all(|(word, (pending, mask))| {
        let news = pending.load(Ordering::SeqCst) & !mask.load(Ordering::SeqCst) != 0;
        !news || upcall && selected & 1 << word != 0
    })
}

/// Does what the idle loop does before it blocks, which it does only if no upcall is pending.
fn idle(guest: &Guest) {
    let upcall = &guest.xen.shared_info().vcpu_info[0].evtchn_upcall_pending;
    while guest.events.dispatch() > 0 || upcall.load(Ordering::SeqCst) != 0 {}
}

fn is_masked(guest: &Guest, port: PortNumber) -> bool {
    let mask = &guest.xen.shared_info().evtchn_mask[port.0 as usize / 64];
    mask.load(Ordering::SeqCst) & 1 << (port.0 % 64) != 0
}

/// Alice's end and Bob's.
type Channel = (Port<FakeXen>, Port<FakeXen>);

/// Opens two channels in one of Alice's words and one in the next, and returns them with the ports
/// in between.
fn in_two_words(pair: &Pair) -> (Vec<Port<FakeXen>>, [Channel; 3]) {
    let [first, second] = [(); 2].map(|()| pair.alice.channel(&pair.bob));
    let offer = || pair.alice.events.alloc_unbound(domid(BOB)).unwrap();
    let between = (0..64).map(|_| offer()).collect();
    (between, [first, second, pair.alice.channel(&pair.bob)])
}

/// Reads the letter box at the moment of the wake-up.
struct Reader(Arc<Mutex<Letters>>);

#[derive(Default)]
struct Letters {
    sent: u64,
    read: u64,
}

impl Wake for Reader {
    fn wake(self: Arc<Self>) {
        let letters = &mut *self.0.lock().unwrap();
        letters.read = letters.sent;
    }
}

#[test]
fn an_event_sent_at_any_moment_of_a_dispatch_wakes_its_waiter() {
    // Ports that get an event before the dispatch, and ports that get one in the middle of it.
    for (before, during) in [([0, 2], [0, 2]), ([0, 0], [1, 2]), ([2, 2], [0, 1])] {
        let moments = explore(|steps| {
            let pair = pair();
            let (_between, channels) = in_two_words(&pair);
            let letters = [(); 3].map(|()| Arc::<Mutex<Letters>>::default());
            let send = |which: usize| {
                letters[which].lock().unwrap().sent += 1;
                channels[which].1.send().unwrap();
            };
            let marks = [(); 3].map(|()| Cell::new(0));
            // After a wake-up, wait for the next event, from the mark taken while reading.
            let wait = || {
                for which in 0..3 {
                    let waker = Waker::from(Arc::new(Reader(letters[which].clone())));
                    let mut context = Context::from_waker(&waker);
                    let (port, mark) = (&channels[which].0, &marks[which]);
                    while pin!(port.wait_beyond(mark.get())).poll(&mut context).is_ready() {
                        mark.set(port.delivered());
                    }
                }
            };
            wait();
            before.into_iter().for_each(send);
            let peer = || during.into_iter().for_each(send);
            steps.run(&pair.alice.xen, peer, || pair.alice.events.dispatch());
            assert!(is_announced(&pair.alice), "the guest may block now");
            wait();
            idle(&pair.alice);
            for letters in &letters {
                let letters = letters.lock().unwrap();
                assert_eq!(letters.read, letters.sent, "an unread letter");
            }
        });
        assert!(moments <= 80, "{moments}: every two moments were tried");
    }
}

#[test]
fn an_event_sent_while_its_port_is_opened_arrives() {
    explore(|steps| {
        let pair = pair();
        // Open and close it once to learn its number.
        let number = pair.alice.events.alloc_unbound(domid(BOB)).unwrap().number();
        let theirs = RefCell::new(None);
        let sent = Cell::new(0);
        let peer = || {
            let bound = theirs
                .take()
                .or_else(|| pair.bob.events.bind_interdomain(domid(ALICE), number).ok());
            if let Some(port) = &bound {
                port.send().unwrap();
                sent.set(sent.get() + 1);
            }
            theirs.replace(bound);
        };
        let open = || pair.alice.events.alloc_unbound(domid(BOB)).unwrap();
        let port = steps.run(&pair.alice.xen, peer, open);
        assert_eq!(port.number(), number);
        assert!(is_announced(&pair.alice));
        idle(&pair.alice);
        assert_eq!(port.is_pending(), sent.get() > 0);
    });
}

#[test]
fn a_port_closed_while_its_peer_sends_is_masked_and_leaves_no_event() {
    explore(|steps| {
        let pair = pair();
        let (port, theirs) = pair.alice.channel(&pair.bob);
        let number = port.number();
        for _ in 0..3 {
            theirs.send().unwrap();
            pair.alice.events.dispatch();
        }
        let peer = || {
            theirs.send().unwrap();
            // Once it is closed, none of its events may be announced.
            let status = theirs.status().unwrap();
            let open = matches!(status, drivers::events::PortStatus::Interdomain(..));
            assert!(open || is_masked(&pair.alice, number), "closed and not masked");
        };
        steps.run(&pair.alice.xen, peer, || drop(port));
        assert!(is_masked(&pair.alice, number));
        let again = pair.alice.events.alloc_unbound(domid(BOB)).unwrap();
        assert_eq!(again.number(), number);
        idle(&pair.alice);
        assert!(!again.is_pending(), "the events were for another channel");
        assert_eq!(again.delivered(), 0, "and so was their count");
        let mut beyond = pin!(again.wait_beyond(0));
        assert!(poll_once(&mut beyond).is_pending());
        // And its own events arrive.
        let peer = pair.bob.events.bind_interdomain(domid(ALICE), number).unwrap();
        peer.send().unwrap();
        idle(&pair.alice);
        assert!(poll_once(&mut beyond).is_ready());
        assert!(again.is_pending());
        assert_eq!(again.delivered(), 1);
    });
}

#[test]
fn a_masked_port_is_not_dispatched() {
    let pair = pair();
    let (port, theirs) = pair.alice.channel(&pair.bob);
    let shared = pair.alice.xen.shared_info();
    let masked = 1 << 63;
    shared.evtchn_pending[0].fetch_or(masked, Ordering::SeqCst);
    theirs.send().unwrap();
    assert_eq!(pair.alice.events.dispatch(), 1);
    assert_eq!(port.delivered(), 1);
    assert_eq!(shared.evtchn_pending[0].load(Ordering::SeqCst), masked, "kept until it's unmasked");
}

#[test]
fn a_wait_takes_an_earlier_event_once() {
    let pair = pair();
    let (port, theirs) = pair.alice.channel(&pair.bob);
    for _ in 0..3 {
        theirs.send().unwrap();
        pair.alice.events.dispatch();
        assert!(port.is_pending());
        assert_eq!(poll_once(port.wait()), Poll::Ready(()), "it came before the wait");
        assert!(!port.is_pending());
        assert_eq!(poll_once(port.wait()), Poll::Pending, "it was already taken");
    }
}

/// Closes a port and opens another in its place.
struct Reopener(Mutex<(Vec<Port<FakeXen>>, drivers::events::Events<FakeXen>)>);

impl Wake for Reopener {
    fn wake(self: Arc<Self>) {
        let (ports, events) = &mut *self.0.lock().unwrap();
        drop(ports.pop());
        ports.push(events.alloc_unbound(domid(BOB)).unwrap());
    }
}

#[test]
fn a_port_reopened_during_a_dispatch_has_no_event_of_the_earlier_channel() {
    let pair = pair();
    let (first, to_first) = pair.alice.channel(&pair.bob);
    let (second, to_second) = pair.alice.channel(&pair.bob);
    let number = second.number();
    let reopener = Arc::new(Reopener(Mutex::new((vec![second], pair.alice.events.clone()))));
    let waker = Waker::from(reopener.clone());
    let mut wait = pin!(first.wait());
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    to_first.send().unwrap();
    to_second.send().unwrap();
    assert_eq!(pair.alice.events.dispatch(), 1);
    let (ports, _) = &*reopener.0.lock().unwrap();
    assert_eq!(ports[0].number(), number);
    assert!(!ports[0].is_pending());
}
