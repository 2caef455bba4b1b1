// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the typed values say about themselves, and what their bytes hold.

mod common;

use common::{ALICE, BOB, bytes, domid, errno};
use drivers::gntdev::{ReadOnly, ReadWrite, Reservation};
use drivers::notify::UnmapNotify;
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, ClaimedGrant, Errno, Error, GrantStatus, Pages};
use embedded_io_async::Write as _;
use fake_xen::{Pair, Task};

#[test]
fn an_allocation_without_memory_midway_leaves_nothing_behind() {
    let pair = Pair::new();
    let device = pair.alice.gntalloc.open();
    for after in 0..8 {
        pair.alice.xen.fail_page_after(after);
        let refused = device.alloc(domid(BOB), Pages(8), Access::ReadWrite);
        assert_eq!(errno(refused), Errno::ENOMEM);
        pair.assert_clean();
    }
}

#[test]
fn what_an_object_says_about_itself_is_true() {
    let pair = Pair::new();
    let export = pair.alice.share_as(&pair.bob, 3, Access::ReadOnly);
    assert_eq!((export.peer(), export.access()), (domid(BOB), Access::ReadOnly));
    assert_eq!((export.pages(), export.size()), (Pages(3), 3 * 4096));
    let grants = pair.alice.offer(&export);
    let (first, second) = (pair.bob.reserve(&grants[..1]), pair.bob.reserve(&grants));
    assert_eq!((first.pages(), second.pages()), (Pages(1), Pages(3)));
    let (mapped, mapping) = (first.map::<ReadOnly>().unwrap(), second.map::<ReadOnly>().unwrap());
    assert_eq!((mapping.pages(), mapping.size()), (Pages(3), 3 * 4096));
    assert_eq!(mapping.grants().collect::<Vec<_>>(), grants);
    let (low, high) = (mapped.addr().min(mapping.addr()), mapped.addr().max(mapping.addr()));
    assert!(high - low >= 4096, "each has addresses of its own");
    assert_eq!(pair.bob.gntdev.limit(), 65_536);
    assert_eq!(errno(mapping.probe_write(3 * 4096, 0)), Errno::EINVAL);
}

#[test]
fn a_view_has_its_own_offsets_and_ends_where_it_was_cut() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    let view = export.view(4000, 200).unwrap();
    assert_eq!((view.len(), view.is_empty()), (200, false));
    assert!(export.view(8192, 0).unwrap().is_empty());
    view.write(90, b"over the edge").unwrap();
    assert_eq!(&bytes(&export, 4090), b"over the edge");
    let mut seen = [0; 13];
    view.read(90, &mut seen).unwrap();
    assert_eq!(&seen, b"over the edge");
    assert_eq!(errno(view.read(188, &mut seen)), Errno::EINVAL);
    assert_eq!(errno(view.write(200, b"X")), Errno::EINVAL);
    assert_eq!(errno(view.read(usize::MAX, &mut seen)), Errno::EINVAL);
    assert_eq!(errno(export.view(8000, 193)), Errno::EINVAL);
}

#[test]
fn a_word_of_a_shared_page_is_loaded_and_stored_atomically() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 2);
    export.store_u32(4096, 0x0403_0201).unwrap();
    assert_eq!(bytes(&export, 4095), [0, 1, 2, 3, 4, 0]);
    assert_eq!(export.load_u32(4096), Ok(0x0403_0201));
    for offset in [2, 8192, usize::MAX - 3] {
        assert_eq!(errno(export.load_u32(offset)), Errno::EINVAL, "{offset}");
        assert_eq!(errno(export.store_u32(offset, 1)), Errno::EINVAL, "{offset}");
    }
}

#[test]
fn a_returned_value_comes_with_its_error() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let mut grants = pair.alice.offer(&export);
    let mapping = pair.bob.map::<ReadOnly>(&grants);
    let busy = export.end().unwrap_err();
    assert_eq!(busy.to_string(), "the peer still maps the page");
    grants.push(ClaimedGrant::new(ALICE, 99_999));
    let reservation = pair.bob.reserve(&grants);
    let said = |reservation: &Reservation<_>| {
        reservation.statuses().map(|(_, status)| status).collect::<Vec<_>>()
    };
    assert_eq!(said(&reservation), [GrantStatus::OKAY; 2], "nothing was asked yet");
    let failed = reservation.map::<ReadOnly>().unwrap_err();
    assert_eq!(failed.to_string(), "Xen refused reference 99999: bad_gntref (-3)");
    assert_eq!(said(&failed.value), [GrantStatus::OKAY, GrantStatus::BAD_GNTREF]);
    drop((mapping, busy, failed));
    pair.assert_clean();
}

#[test]
fn the_system_counts_frames_and_lets_others_run() {
    let pair = Pair::new();
    let system = &pair.alice.system;
    let before = system.frames();
    assert!(before.total > 0 && before.free <= before.total);
    let _export = pair.alice.share(&pair.bob, 3);
    assert_eq!(system.frames().free, before.free - 3);
    let (now, yields) = (system.now(), system.counters().calls(Call::SchedYield));
    system.yield_cpu();
    assert_eq!(system.counters().calls(Call::SchedYield), yields + 1);
    assert!(system.now() > now);
}

/// Makes every fallible call of a guest, one after another.
async fn all_with_question_marks(pair: &Pair) -> Result<(), Error> {
    let Pair { alice, bob, .. } = pair;
    let mut export = alice.gntalloc.open().alloc("2".parse()?, Pages(1), Access::ReadWrite)?;
    let gref = export.gref();
    let mapping = bob.gntdev.open()?.reserve(&[alice.domid.grant(gref)])?;
    let mut mapping = mapping.map::<ReadWrite>()?;
    let (ours, theirs) = alice.channel(bob);
    export.set_notify(UnmapNotify::event(&ours))?;
    mapping.set_notify(UnmapNotify::clear_byte(0).and_event(&theirs))?;
    mapping.write(0, b"x")?;
    let mut console = bob.console.clone();
    console.write_all(b"hello\n").await?;
    console.flush().await?;
    mapping.unmap()?;
    export.end()?;
    Ok(())
}

#[test]
fn every_error_of_a_guests_converts_into_one() {
    let pair = Pair::new();
    let test = async { assert_eq!(all_with_question_marks(&pair).await, Ok(())) };
    pair.world.run([Task::new(&pair.bob.events, test)]);
    assert_eq!(pair.bob.xen.console_output(), "hello\r\n");
    pair.assert_clean();
}
