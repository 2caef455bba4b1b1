// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shared ring: bytes arrive complete and in order whatever the sizes, events are sent only if
//! somebody waits, and impossible indices are refused.

use drivers::Errno;
use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::gntdev::{Mapping, ReadWrite};
use drivers::ring::{Receiver, Sender};
use drivers::shared::SharedMut;
use fake_xen::{FakeXen, Pair, Task};

struct Ends {
    export: Export<FakeXen>,
    here: Port<FakeXen>,
    mapping: Mapping<FakeXen, ReadWrite>,
    there: Port<FakeXen>,
}

fn ends(pair: &Pair, pages: u32) -> Ends {
    let export = pair.alice.share(&pair.bob, pages);
    let mapping = pair.bob.map(&pair.alice.offer(&export));
    let (here, there) = pair.alice.channel(&pair.bob);
    Ends { export, here, mapping, there }
}

/// Returns byte `n` of the stream.
fn byte(n: usize) -> u8 {
    (n.wrapping_mul(0x9E37_79B9) >> 13) as u8
}

#[test]
fn a_stream_arrives_complete_and_in_order_whatever_the_sizes() {
    let pair = Pair::new();
    for (write, read) in [(1, 1), (4096, 4096), (5000, 3), (3, 5000), (9000, 9000), (4095, 4097)] {
        let Ends { export, here, mapping, there } = ends(&pair, 3);
        let total = 60_000;
        let writing = async {
            let mut sender = Sender::new(&export, &here).unwrap();
            let bytes: Vec<u8> = (0..total).map(byte).collect();
            for chunk in bytes.chunks(write) {
                sender.send(chunk).await.unwrap();
            }
        };
        let reading = async {
            let mut receiver = Receiver::new(&mapping, &there).unwrap();
            let (mut buffer, mut got) = (vec![0; read], 0);
            while got < total {
                let len = receiver.receive(&mut buffer).await.unwrap();
                assert!(buffer[..len].iter().enumerate().all(|(i, b)| *b == byte(got + i)));
                got += len;
            }
        };
        pair.world
            .run([Task::new(&pair.alice.events, writing), Task::new(&pair.bob.events, reading)]);
        drop(mapping);
        export.end().unwrap();
    }
    pair.assert_clean();
}

#[test]
fn an_end_that_does_not_wait_gets_no_event() {
    let pair = Pair::new();
    let Ends { export, here, mapping, there } = ends(&pair, 2);
    let mut sender = Sender::new(&export, &here).unwrap();
    let mut receiver = Receiver::new(&mapping, &there).unwrap();
    pair.bob.events.dispatch();
    let (a, b) = (here.delivered(), there.delivered());
    for round in 0..100 {
        assert_eq!(sender.push(&[round; 1000]).unwrap(), 1000);
        let mut bytes = [0; 1000];
        assert_eq!(receiver.pull(&mut bytes).unwrap(), 1000);
        assert_eq!(bytes, [round; 1000]);
    }
    pair.alice.events.dispatch();
    pair.bob.events.dispatch();
    assert_eq!((here.delivered(), there.delivered()), (a, b));
}

#[test]
fn an_impossible_index_is_an_error_at_each_end() {
    for nonsense in [4097, 1 << 31, 0x1234_5678] {
        let pair = Pair::new();
        let Ends { export, here, mapping, there } = ends(&pair, 2);
        let mut sender = Sender::new(&export, &here).unwrap();
        let mut receiver = Receiver::new(&mapping, &there).unwrap();
        mapping.store_u32(64, nonsense).unwrap();
        export.store_u32(0, nonsense).unwrap();
        assert_eq!(sender.push(b"x").unwrap_err().errno(), Errno::EIO);
        assert_eq!(receiver.pull(&mut [0]).unwrap_err().errno(), Errno::EIO);
    }
}

#[test]
fn a_ring_has_one_page_plus_a_power_of_two() {
    let pair = Pair::new();
    for (pages, fits) in [(1, false), (2, true), (3, true), (4, false), (5, true), (17, true)] {
        let ends = ends(&pair, pages);
        assert_eq!(Sender::new(&ends.export, &ends.here).is_ok(), fits, "{pages}");
        assert_eq!(Receiver::new(&ends.mapping, &ends.there).is_ok(), fits, "{pages}");
    }
}
