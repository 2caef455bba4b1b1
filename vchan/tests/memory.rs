// SPDX-License-Identifier: MIT OR Apache-2.0
//! Heap use: messages don't allocate, and any refused allocation during a connect is an error that
//! leaves nothing behind.

mod common;

use common::{PATH, SECOND, SEEN, bytes, ends, is_waiting, pause, settle, small};
use drivers::Errno;
use fake_xen::heap::{self, Heap, Refusal};
use fake_xen::{Pair, Task};
use vchan::{Buffered, Client, Server, Sizes};

#[global_allocator]
static HEAP: Heap = Heap;

#[test]
fn the_count_counts() {
    assert_eq!(heap::requests(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn a_message_takes_no_memory() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, small());
    let (sent, mut got) = (bytes(500), [0; 500]);
    let mut round = || {
        // Waiters are stored with the port; FakeXen's own timers are not counted.
        assert!(is_waiting(bob.read(&mut got)));
        assert!(!is_waiting(alice.write_all(&sent)));
        pair.bob.events.dispatch();
        assert!(!is_waiting(bob.read(&mut got)));
        assert!(!is_waiting(alice.send(&sent)));
        assert!(!is_waiting(bob.recv(&mut got)));
    };
    round();
    assert_eq!(heap::requests(|| (0..100).for_each(|_| round())), 0);
}

#[test]
fn a_request_that_is_refused_while_they_connect_is_an_error_or_is_made_good() {
    for server_side in [true, false] {
        let mut answered = 0;
        loop {
            let pair = Pair::new();
            let refusal = Refusal::after(answered);
            let (serving, connecting) = (Refusal::after(u32::MAX), Refusal::after(u32::MAX));
            let serving = if server_side { &refusal } else { &serving };
            let connecting = if server_side { &connecting } else { &refusal };
            let sizes = Sizes::new(4096, 8192).unwrap();
            let serves = async {
                let run = async {
                    let guest = pair.alice.services.clone();
                    let mut server = Server::new(guest, pair.bob.domid, PATH, sizes)?;
                    let stream = Buffered::new(server.accept().await?)?;
                    stream.into_inner().close().await
                };
                let late = pause(&pair.alice, 20 * SECOND);
                let run = serving.during(|| true, run);
                embassy_futures::select::select(run, late).await
            };
            let connects = async {
                let run = async {
                    let guest = pair.bob.services.clone();
                    let mut client = Client::new(guest, pair.alice.domid, SEEN)?;
                    client.connect().await?.close().await
                };
                let late = pause(&pair.bob, 20 * SECOND);
                let run = connecting.during(|| true, run);
                embassy_futures::select::select(run, late).await
            };
            let mut failed = Vec::new();
            let check = |ended| {
                if let embassy_futures::select::Either::First(Err(error)) = ended {
                    let error: vchan::Error = error;
                    assert_eq!(error.errno(), Errno::ENOMEM, "request {answered}: {error}");
                    return Some(error);
                }
                None
            };
            let (mut one, mut two) = (None, None);
            pair.world.run([
                Task::new(&pair.alice.events, async { one = check(serves.await) }),
                Task::new(&pair.bob.events, async { two = check(connects.await) }),
            ]);
            failed.extend(one);
            failed.extend(two);
            settle(&pair.world, &pair.alice);
            settle(&pair.world, &pair.bob);
            pair.alice.gntalloc.reap(u32::MAX);
            pair.assert_clean();
            if !refusal.is_done() {
                assert!(failed.is_empty() && answered > 20, "{answered}");
                break;
            }
            answered += 1;
        }
    }
}
