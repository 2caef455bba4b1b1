//! Several reservations of one handle: each call touches the pages of its own.

mod common;

use common::{ALICE, BOB, domid, offer, pair};
use drivers::gntalloc::Export;
use drivers::gntdev::ReadWrite;
use drivers::notify::{CLEAR_BYTE, SEND_EVENT, UnmapNotify};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Errno, PortNumber};
use fake_xen::FakeXen;

#[test]
fn the_second_mapping_of_a_handle_is_about_its_own_pages_alone() {
    let pair = pair();
    let alice_port = pair.alice.events.alloc_unbound(domid(BOB)).unwrap();
    let bob_port = pair.bob.events.bind_interdomain(domid(ALICE), alice_port.number()).unwrap();
    let exports = [2, 3].map(|pages| {
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), pages, Access::ReadWrite).unwrap()
    });
    let bob = pair.bob.gntdev.open().unwrap();
    let map = |export| bob.insert(&offer(ALICE, export)).unwrap().map::<ReadWrite>().unwrap();
    let (first, second) = (map(&exports[0]), map(&exports[1]));
    second.write(10, b"bytes").unwrap();
    second.store_u32(4096, 7).unwrap();
    assert_eq!(second.probe_write(2 * 4096 + 5, b'p'), Ok(true));
    let action = CLEAR_BYTE | SEND_EVENT;
    let notify = UnmapNotify { action, port: bob_port.number() };
    second.set_notify(2 * 4096 + 4, notify).unwrap();
    exports[1].write(2 * 4096 + 4, b"x").unwrap();
    let seen = |export: &Export<FakeXen>| {
        let mut seen = vec![0; export.size()];
        export.read(0, &mut seen).unwrap();
        seen
    };
    let bytes = seen(&exports[1]);
    assert_eq!(&bytes[10..15], b"bytes");
    assert_eq!((bytes[4096], bytes[8196], bytes[8197]), (7, b'x', b'p'));
    assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 8, "and nothing else");
    assert_eq!(second.load_u32(4096), Ok(7));
    let mut read = [0; 5];
    second.read(10, &mut read).unwrap();
    assert_eq!(&read, b"bytes");
    drop(second);
    pair.alice.events.dispatch();
    assert_eq!((seen(&exports[1])[8196], alice_port.delivered()), (0, 1));
    assert!(seen(&exports[0]).iter().all(|byte| *byte == 0));
    drop(first);
}

#[test]
fn a_byte_of_a_second_reservation_is_counted_from_its_own_start() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 2, Access::ReadWrite).unwrap();
    let bob = pair.bob.gntdev.open().unwrap();
    let grants = offer(ALICE, &export);
    let _first = bob.insert(&grants[..1]).unwrap();
    let second = bob.insert(&grants).unwrap();
    let clear = UnmapNotify { action: CLEAR_BYTE, port: PortNumber(0) };
    second.set_notify(4096 + 9, clear).unwrap();
    assert_eq!(second.set_notify(2 * 4096, clear).unwrap_err().errno(), Errno::EINVAL);
    export.write(0, &[1; 8192]).unwrap();
    drop(second.map::<ReadWrite>().unwrap());
    let mut seen = [0; 8192];
    export.read(0, &mut seen).unwrap();
    let cleared: Vec<usize> = (0..seen.len()).filter(|at| seen[*at] == 0).collect();
    assert_eq!(cleared, [4096 + 9]);
}
