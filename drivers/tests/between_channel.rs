// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other end of a byte channel acts between any two accesses of one end: no byte is read before
//! it is written or overwritten before it is read, and nobody waits forever.

mod common;

use common::channel::{ByteChannel, ReadEnd, Vchan, WriteEnd, byte};
use fake_xen::{Config, Pair, Task, explore};

/// How many bytes pass, and the sizes of the writes and reads.
#[derive(Clone, Copy)]
struct Traffic {
    total: usize,
    write: usize,
    read: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    Writer,
    Reader,
}

/// Runs one end between any two accesses of the other, which is `watched`. `waiting`: the first
/// already waits when the watched one begins. Returns the number of moments tried.
fn both_ends<C: ByteChannel>(traffic: Traffic, watched: Watched, waiting: bool) -> u64 {
    explore(|steps| {
        let small = Config { pages: 8, max_grant_frames: 1, ..Config::default() };
        let pair = Pair::of(small, small);
        let channel = C::open(&pair);
        let bytes: Vec<u8> = (0..traffic.total).map(byte).collect();
        let (mut writer, mut reader) = (channel.writer(), channel.reader());
        let writing = async {
            for piece in bytes.chunks(traffic.write) {
                writer.send(piece).await;
            }
        };
        let reading = async {
            let (mut buffer, mut got) = (vec![0; traffic.read], 0);
            while got < traffic.total {
                let len = reader.receive(&mut buffer).await;
                assert!(buffer[..len] == bytes[got..got + len], "bytes from {got} on");
                got += len;
            }
        };
        let mut writing = Task::new(&pair.alice.events, writing);
        let mut reading = Task::new(&pair.bob.events, reading);
        let (guest, one, other) = match watched {
            Watched::Writer => (&pair.alice, &mut writing, &mut reading),
            Watched::Reader => (&pair.bob, &mut reading, &mut writing),
        };
        if waiting {
            while other.step() {}
        }
        let act = || {
            other.step();
        };
        steps.run(&guest.xen, act, || while one.step() {});
        while one.step() | other.step() {}
        assert!(one.is_done() && other.is_done(), "an end waits forever");
    })
}

/// Checks everything that holds for a byte channel.
fn all<C: ByteChannel>() {
    for watched in [Watched::Writer, Watched::Reader] {
        for waiting in [false, true] {
            let few = both_ends::<C>(Traffic { total: 1, write: 1, read: 1 }, watched, waiting);
            assert!((4..=80).contains(&few), "{few}: every two moments were tried");
            let room = C::ROOM;
            for (total, write, read) in [
                (3, 1, 1),
                (room + 1, room + 1, room),
                (2 * room + 100, 2 * room + 100, room / 2),
                (2 * room + 100, room / 2 - 7, 3 * room),
            ] {
                both_ends::<C>(Traffic { total, write, read }, watched, waiting);
            }
        }
    }
}

#[test]
fn a_vchan_from_the_server_is_correct_whatever_the_other_end_does_and_when() {
    all::<Vchan<true>>();
}

#[test]
fn so_is_a_vchan_from_the_client() {
    all::<Vchan<false>>();
}

/// Without waiting: a channel takes as much as it has room for, and returns what it has.
fn full_and_empty<C: ByteChannel>() {
    let pair = Pair::new();
    let channel = C::open(&pair);
    let (mut writer, mut reader) = (channel.writer(), channel.reader());
    let bytes: Vec<u8> = (0..2 * C::ROOM).map(byte).collect();
    let mut got = vec![0; 2 * C::ROOM];
    for _ in 0..3 {
        assert_eq!(reader.pull(&mut got), 0, "empty");
        assert_eq!(writer.push(&bytes[..5]), 5);
        assert_eq!(writer.push(&bytes[5..]), C::ROOM - 5);
        assert_eq!(writer.push(&bytes), 0, "full");
        assert_eq!(reader.pull(&mut got[..7]), 7);
        assert_eq!(writer.push(&bytes[C::ROOM..]), 7);
        assert_eq!(reader.pull(&mut got[7..]), C::ROOM);
        assert_eq!(got[..C::ROOM + 7], bytes[..C::ROOM + 7]);
    }
}

#[test]
fn a_channel_takes_what_fits_and_returns_what_is_there() {
    full_and_empty::<Vchan<true>>();
    full_and_empty::<Vchan<false>>();
}
