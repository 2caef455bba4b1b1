// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two guests on two processors: each runs in a thread of its own on the same FakeXen.

mod common;

use std::sync::mpsc;

use common::channel::{ByteChannel, ReadEnd, Vchan, WriteEnd, byte};
use common::{ALICE, bytes};
use drivers::ClaimedGrant;
use drivers::gntalloc::Busy;
use drivers::gntdev::ReadWrite;
use drivers::shared::SharedMut;
use fake_xen::{Config, Pair, Task};

fn pair() -> Pair {
    let small =
        Config { pages: 16, max_grant_frames: 1, max_maptrack_frames: 1, ..Config::default() };
    Pair::of(small, small)
}

/// How often a thread looks in vain before it gives up.
const PATIENCE: u32 = 1_000_000;

#[test]
fn a_grant_ended_while_another_processor_maps_it_ends_or_is_mapped() {
    let rounds: u8 = if cfg!(miri) { 4 } else { 200 };
    let pair = pair();
    let (offer, offers) = mpsc::sync_channel(0);
    std::thread::scope(|threads| {
        let bob = &pair.bob;
        threads.spawn(move || {
            while let Ok((gref, round)) = offers.recv() {
                for _ in 0..5 {
                    let reserved = bob.reserve(&[ClaimedGrant::new(ALICE, gref)]);
                    if let Ok(mapping) = reserved.map::<ReadWrite>() {
                        // It may already be the next round's page, before it is written.
                        let [seen] = bytes(&mapping, 0);
                        assert!(seen == 0 || seen >= round, "another page");
                        mapping.write(1, &[round]).unwrap();
                    }
                }
            }
        });
        for round in 1..=rounds {
            let mut export = pair.alice.share(&pair.bob, 1);
            export.write(0, &[round]).unwrap();
            let gref = export.grefs().next().expect("one page").0;
            offer.send((gref, round)).unwrap();
            // FakeXen panics if a mapped page is freed.
            while let Err(Busy(busy)) = export.end() {
                export = busy;
                std::thread::yield_now();
            }
        }
        drop(offer);
    });
    pair.assert_clean();
}

/// Runs a guest that only takes events and continues when woken.
fn run(mut task: Task) {
    for _ in 0..PATIENCE {
        if task.is_done() {
            return;
        }
        if !task.step() {
            std::thread::yield_now();
        }
    }
    panic!("it waits forever");
}

fn a_stream<C: ByteChannel + Sync>() {
    let total = if cfg!(miri) { C::ROOM + 500 } else { 20 * C::ROOM };
    let pair = pair();
    let channel = C::open(&pair);
    let sent: Vec<u8> = (0..total).map(byte).collect();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut writer = channel.writer();
            let writing = async {
                for piece in sent.chunks(C::ROOM / 3) {
                    writer.send(piece).await;
                }
            };
            run(Task::new(&pair.alice.events, writing));
        });
        let mut reader = channel.reader();
        let reading = async {
            let (mut buffer, mut got) = (vec![0; C::ROOM / 2], 0);
            while got < total {
                let len = reader.receive(&mut buffer).await;
                assert!(buffer[..len] == sent[got..got + len], "bytes from {got} on");
                got += len;
            }
        };
        run(Task::new(&pair.bob.events, reading));
    });
}

#[test]
fn a_stream_passes_between_two_processors() {
    a_stream::<Vchan<true>>();
    a_stream::<Vchan<false>>();
}
