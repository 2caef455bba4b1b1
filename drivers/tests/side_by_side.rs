// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several reservations of one device: each call touches only its own pages.

mod common;

use common::{bytes, errno, events, zeroes};
use drivers::Errno;
use drivers::gntdev::ReadWrite;
use drivers::notify::UnmapNotify;
use drivers::shared::{Shared, SharedMut};
use fake_xen::Pair;

#[test]
fn the_second_mapping_of_a_device_is_about_its_own_pages_only() {
    let pair = Pair::new();
    let (alice_port, bob_port) = pair.alice.channel(&pair.bob);
    let exports = [2, 3].map(|pages| pair.alice.share(&pair.bob, pages));
    let bob = pair.bob.gntdev.open().unwrap();
    let map = |export| bob.reserve(&pair.alice.offer(export)).unwrap().map::<ReadWrite>().unwrap();
    let (first, mut second) = (map(&exports[0]), map(&exports[1]));
    second.write(10, b"bytes").unwrap();
    second.store_u32(4096, 7).unwrap();
    assert_eq!(second.probe_write(2 * 4096 + 5, b'p'), Ok(true));
    let notify = UnmapNotify::clear_byte(2 * 4096 + 4).and_event(&bob_port);
    second.set_notify(notify).unwrap();
    exports[1].write(2 * 4096 + 4, b"x").unwrap();
    assert_eq!(&bytes(&exports[1], 10), b"bytes");
    assert_eq!((bytes(&exports[1], 4096), bytes(&exports[1], 8196)), ([7], *b"xp"));
    assert_eq!(zeroes(&exports[1]).len(), 3 * 4096 - 8, "and nothing else");
    assert_eq!(second.load_u32(4096), Ok(7));
    assert_eq!(&bytes(&second, 10), b"bytes");
    drop(second);
    assert_eq!((bytes(&exports[1], 8196), events(&pair, &alice_port)), ([0], 1));
    assert_eq!(zeroes(&exports[0]).len(), 2 * 4096);
    drop(first);
}

#[test]
fn a_byte_of_a_second_reservation_is_counted_from_its_own_start() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let bob = pair.bob.gntdev.open().unwrap();
    let grants = pair.alice.offer(&export);
    let _first = bob.reserve(&grants[..1]).unwrap();
    let mut second = bob.reserve(&grants).unwrap();
    second.set_notify(UnmapNotify::clear_byte(4096 + 9)).unwrap();
    for outside in [2 * 4096, usize::MAX] {
        let refused = second.set_notify(UnmapNotify::clear_byte(outside));
        assert_eq!(errno(refused), Errno::EINVAL, "{outside}");
    }
    export.write(0, &[1; 8192]).unwrap();
    drop(second.map::<ReadWrite>().unwrap());
    assert_eq!(zeroes(&export), [4096 + 9]);
}
