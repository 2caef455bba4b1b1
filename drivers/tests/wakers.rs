// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wakers are somebody else's code: whatever they call when cloned, woken or dropped, nothing hangs
//! and no waiter misses its event.

mod common;

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use common::waker::{Done, Hostile, in_time, poll};
use common::{BOB, domid};
use drivers::gntalloc::FLAG_WRITABLE;
use drivers::gntdev::ReadWrite;
use drivers::notify::{NotifyRequest, SEND_EVENT, UnmapNotify};
use drivers::shared::SharedMut;
use drivers::xenstore::XenStore;
use drivers::{Access, Call, Errno, GrantRef, Index, Pages};
use embassy_futures::yield_now;
use fake_xen::heap::{self, Heap};
use fake_xen::{FakeXen, Guest, Pair, Task};

#[global_allocator]
static HEAP: Heap = Heap;

#[test]
fn a_waker_at_a_port_may_do_anything_with_ports() {
    in_time(|| {
        let pair = Pair::new();
        let (alice, bob) = pair.alice.channel(&pair.bob);
        let (events, number) = (pair.alice.events.clone(), alice.number());
        let hostile = Hostile::new(move |_| {
            assert!(events.open_ports() > 0);
            let other = events.alloc_unbound(domid(BOB)).unwrap();
            drop((events.hold(number).unwrap(), other));
            events.dispatch();
        });
        let waker = hostile.waker();
        for round in 1..=5 {
            let mut wait = pin!(alice.wait());
            assert!(!poll(wait.as_mut(), &waker));
            // The same waker isn't registered twice.
            assert!(!poll(wait.as_mut(), &waker));
            bob.send().unwrap();
            pair.alice.events.dispatch();
            assert_eq!(hostile.woken.get(), round);
            assert!(poll(wait.as_mut(), &waker));
        }
        assert!(hostile.seen.borrow().contains(&Done::Cloned));
        assert!(hostile.seen.borrow().contains(&Done::Dropped));
        // A stale waker is dropped with its port or with the next port of that number.
        assert!(!poll(pin!(alice.wait()), &waker));
        let number = alice.number();
        drop((alice, bob));
        let again = pair.alice.events.alloc_unbound(domid(BOB)).unwrap();
        assert_eq!(again.number(), number);
        assert_eq!(hostile.clones.get(), 1, "the test's own");
    });
}

#[test]
fn a_waiter_registered_during_a_wake_up_is_woken_by_the_next_event() {
    in_time(|| {
        let pair = Pair::new();
        let (alice, bob) = pair.alice.channel(&pair.bob);
        let alice = Rc::new(alice);
        let second = Hostile::new(|_| {});
        let (port, waker) = (alice.clone(), second.waker());
        let first = Hostile::new(move |done| {
            if done == Done::Woken {
                let mark = port.delivered();
                assert!(!poll(pin!(port.wait_beyond(mark)), &waker));
            }
        });
        // More than there was room for: their room is put back, but not over a new waiter.
        let crowd: Vec<_> = (0..9).map(|_| Hostile::new(|_| {})).collect();
        crowd.iter().for_each(|one| assert!(!poll(pin!(alice.wait()), &one.waker())));
        assert!(!poll(pin!(alice.wait()), &first.waker()));
        bob.send().unwrap();
        pair.alice.events.dispatch();
        assert_eq!((first.woken.get(), second.woken.get()), (1, 0));
        bob.send().unwrap();
        pair.alice.events.dispatch();
        assert_eq!((first.woken.get(), second.woken.get()), (1, 1));
    });
}

#[test]
fn a_waiter_without_room_is_woken_at_once() {
    in_time(|| {
        let pair = Pair::new();
        let (alice, _bob) = pair.alice.channel(&pair.bob);
        pair.alice.events.dispatch();
        let mark = alice.delivered();
        let crowd: Vec<_> = (0..100).map(|_| Hostile::new(|_| {})).collect();
        let mut refused = 0;
        for one in &crowd {
            let (waker, mut wait) = (one.waker(), pin!(alice.wait_beyond(mark)));
            one.seen.borrow_mut().reserve(10);
            let was_refused = heap::refuse(0, || assert!(!poll(wait.as_mut(), &waker))).1;
            assert_eq!(one.woken.get(), u32::from(was_refused));
            refused += one.woken.get();
        }
        assert!((90..100).contains(&refused), "{refused}");
    });
}

#[test]
fn a_port_whose_last_holder_is_a_notice_runs_no_waker_in_the_devices() {
    in_time(|| {
        let pair = Pair::new();
        let (gntdev, gntalloc) = (pair.bob.gntdev.clone(), pair.bob.gntalloc.clone());
        let hostile = Hostile::new(move |_| {
            assert_eq!(gntdev.usage().mapped, 0);
            gntdev.retry_stuck();
            gntalloc.open_indexed().unwrap();
        });
        let waker = hostile.waker();
        let mapper = pair.bob.gntdev.open_indexed().unwrap();
        let index = mapper.map_grant_ref(&[domid(BOB).grant(GrantRef(8))]).unwrap();
        let granter = pair.bob.gntalloc.open_indexed().unwrap();
        let page = granter.alloc_gref(BOB, 1, &mut [GrantRef(0)]).unwrap();
        let set: [&dyn Fn(NotifyRequest); 2] =
            [&|request| mapper.set_unmap_notify(index, request).unwrap(), &|request| {
                granter.set_unmap_notify(page, request).unwrap()
            }];
        for set in set {
            for _ in 0..3 {
                let port = pair.bob.events.alloc_unbound(domid(BOB)).unwrap();
                assert!(!poll(pin!(port.wait()), &waker));
                set(NotifyRequest { action: SEND_EVENT, port: port.number() });
            }
            // Removing the notification closes the last port.
            set(NotifyRequest::default());
        }
        assert_eq!(pair.bob.events.open_ports(), Pair::new().bob.events.open_ports());
        granter.dealloc_gref(page, Pages(1)).unwrap();
    });
}

fn store(guest: &Guest) -> XenStore<FakeXen> {
    guest.xenstore.clone().expect("an ordinary guest has xenstore")
}

/// Polls a future with a waker other than the task's, each time the task runs.
async fn drive<F: Future>(future: F, waker: &Waker) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
            return output;
        }
        yield_now().await;
    }
}

#[test]
fn a_waker_at_xenstore_may_do_anything_with_xenstore() {
    in_time(|| {
        let Pair { world, alice, .. } = Pair::new();
        let task = async {
            let xs = store(&alice);
            let watch = RefCell::new(Some(xs.watch("data").await.unwrap()));
            let transaction = RefCell::new(Some(xs.transaction().await.unwrap()));
            let events = alice.events.clone();
            let inner = xs.clone();
            let hostile = Hostile::new(move |_| {
                drop((watch.take(), transaction.take()));
                let quiet = Waker::noop();
                // Dropped before it is sent, and after.
                drop(inner.read("domid"));
                assert!(!poll(pin!(inner.read("domid")), quiet));
                inner.remove_later("data/none");
                events.dispatch();
            });
            let waker = hostile.waker();
            for round in 0..20_u8 {
                drive(xs.write("data/a", &[round]), &waker).await.unwrap();
                let mut watch = drive(xs.watch("data/a"), &waker).await.unwrap();
                drive(watch.event(), &waker).await.unwrap();
                assert_eq!(drive(xs.read("data/a"), &waker).await.unwrap(), [round]);
            }
            assert!(hostile.woken.get() > 40);
            xs.read("domid").await.unwrap();
            assert_eq!(alice.xen.xenstore_watches(), 0);
            assert_eq!(alice.xen.xenstore_transactions(), 0);
        };
        world.run([Task::new(&alice.events, task)]);
    });
}

#[test]
fn an_answer_that_comes_while_others_are_woken_reaches_its_waiter() {
    in_time(|| {
        let Pair { world, alice, .. } = Pair::new();
        let task = async {
            let xs = store(&alice);
            // A woken task moves the ring, which takes everybody's answers off it.
            let other = xs.clone();
            let hostile = Hostile::new(move |done| {
                if done != Done::Dropped {
                    assert!(!poll(pin!(other.read("domid")), Waker::noop()));
                }
            });
            let waker = hostile.waker();
            for _ in 0..20 {
                let mut first = pin!(xs.read("domid"));
                assert!(!poll(first.as_mut(), &waker));
                // This one is polled by its own task, which sleeps until woken.
                assert_eq!(xs.read("domid").await.unwrap(), b"1");
                assert_eq!(drive(first, &waker).await.unwrap(), b"1");
            }
        };
        world.run([Task::new(&alice.events, task)]);
    });
}

#[test]
fn a_waker_at_the_upkeep_may_do_anything_with_the_devices() {
    in_time(|| {
        let pair = Pair::new();
        let (alice, bob) = (pair.alice.gntalloc.clone(), pair.bob.gntdev.clone());
        let hostile = Hostile::new(move |_| {
            let own = alice.open().alloc(domid(BOB), Pages(2), Access::ReadWrite).unwrap();
            drop(own);
            assert!(alice.parked() <= 1);
            alice.reap(u32::MAX);
            assert!(bob.usage().stuck <= 2);
            bob.retry_stuck();
            bob.open_indexed().unwrap();
        });
        let waker = hostile.waker();
        let (mut reap, mut retry) = (pin!(pair.alice.upkeep()), pin!(pair.bob.upkeep()));
        let indexed = pair.bob.gntdev.open_indexed().unwrap();
        for _ in 0..3 {
            assert!(!poll(reap.as_mut(), &waker));
            assert!(!poll(retry.as_mut(), &waker));
            let export = pair.alice.share(&pair.bob, 1);
            let offer = pair.alice.offer(&export);
            let mapping = pair.bob.map::<ReadWrite>(&offer);
            let index = indexed.map_grant_ref(&offer).unwrap();
            let addr = indexed.mmap(index, Pages(1), true, Access::ReadWrite).unwrap();
            let before = hostile.woken.get();
            drop(export);
            assert_eq!(hostile.woken.get(), before + 1, "a page is parked");
            pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
            drop(mapping);
            assert!(hostile.woken.get() > before + 1, "a region is stuck");
            indexed.munmap_and_remove(addr, Pages(1)).unwrap_err();
            pair.bob.xen.deny(Call::GnttabUnmap, None);
            pair.bob.gntdev.retry_stuck();
            pair.alice.gntalloc.reap(u32::MAX);
            // Until both have noticed that there is nothing left to do.
            pair.world.run([Task::new(&pair.bob.events, async {
                for _ in 0..3 {
                    pair.bob.system.sleep_until(pair.world.now() + 200_000_000).await;
                    assert!(!poll(reap.as_mut(), &waker));
                    assert!(!poll(retry.as_mut(), &waker));
                }
            })]);
        }
        drop(indexed);
        assert_eq!(index_of_nothing(&pair), Errno::EINVAL);
        pair.assert_clean();
    });
}

#[test]
fn a_page_that_a_waker_releases_first_is_released_once() {
    in_time(|| {
        let pair = Pair::new();
        let device = Rc::new(pair.alice.gntalloc.open_indexed().unwrap());
        let mut grefs = [GrantRef(0); 2];
        let first = device.alloc_gref(BOB, FLAG_WRITABLE, &mut grefs).unwrap();
        let second = Index::of_page(first.page() + 1);
        let local = device.mmap(second, Pages(1), true).unwrap();
        let mapping = pair.bob.map::<ReadWrite>(&[pair.alice.domid.grant(grefs[0])]);
        let inner = device.clone();
        let hostile = Hostile::new(move |done| {
            if done == Done::Woken {
                inner.dealloc_gref(second, Pages(1)).unwrap();
            }
        });
        let waker = hostile.waker();
        let mut upkeep = Box::pin(pair.alice.upkeep());
        assert!(!poll(upkeep.as_mut(), &waker));
        device.dealloc_gref(first, Pages(2)).unwrap();
        assert_eq!(hostile.woken.get(), 1, "a page is parked");
        // The local mapping keeps its page.
        local.write(0, b"kept").unwrap();
        assert_eq!(pair.alice.gntalloc.in_use(), 2);
        drop((local, mapping, upkeep));
        assert_eq!(pair.alice.gntalloc.reap(u32::MAX), 1);
        pair.assert_clean();
    });
}

#[test]
fn a_waker_cannot_take_an_index_that_is_about_to_be_mapped() {
    in_time(|| {
        let pair = Pair::new();
        let export = pair.alice.share(&pair.bob, 1);
        let grants = pair.alice.offer(&export);
        let device = Rc::new(pair.bob.gntdev.open_indexed().unwrap());
        let index = device.map_grant_ref(&grants).unwrap();
        let addr = device.mmap(index, Pages(1), true, Access::ReadWrite).unwrap();
        let inner = device.clone();
        let hostile = Hostile::new(move |done| {
            let second = Index::of_page(1);
            if done == Done::Woken && inner.unmap_grant_ref(second, Pages(1)).is_ok() {
                assert_eq!(inner.map_grant_ref(&[domid(BOB).grant(GrantRef(8))]).unwrap(), second);
            }
        });
        let waker = hostile.waker();
        pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
        device.munmap_and_remove(addr, Pages(1)).unwrap_err();
        let mut upkeep = Box::pin(pair.bob.upkeep());
        assert!(!poll(upkeep.as_mut(), &waker));
        let mapped = device.map_grants(&grants, Access::ReadWrite, UnmapNotify::NONE);
        assert!(hostile.woken.get() > 0, "a page is stuck");
        // The waker comes too late to take the index.
        assert_eq!(device.get_offset_for_vaddr(mapped.unwrap()), Ok((Index::of_page(1), Pages(1))));
    });
}

/// Checks that the service is still usable: returns an empty device's errno.
fn index_of_nothing(pair: &Pair) -> Errno {
    let device = pair.bob.gntdev.open_indexed().unwrap();
    device.unmap_grant_ref(Index(0), Pages(1)).unwrap_err().errno()
}
