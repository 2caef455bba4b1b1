// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grant copy: what may be copied where, each segment's status, and what refuses the whole call.

mod common;

use common::{ALICE, domid};
use drivers::buffer::Buffer;
use drivers::gntalloc::{Export, FLAG_WRITABLE};
use drivers::gntdev::{CopyEnd, Device, Segment};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, ClaimedGrant, Errno, GrantRef, Index, Pages};
use fake_xen::heap::{self, Heap};
use fake_xen::{Config, FakeXen, Pair, World};
use xen_sys::grant_table::GrantStatus;

#[global_allocator]
static HEAP: Heap = Heap;

/// Two guests, and what Bob copies with.
struct Copying {
    pair: Pair,
    bob: Device<FakeXen>,
    buffer: Buffer<FakeXen>,
}

fn copying() -> Copying {
    let pair = Pair::new();
    let bob = pair.bob.gntdev.open().unwrap();
    let buffer = Buffer::new(&pair.bob.system, Pages(3)).unwrap();
    Copying { pair, bob, buffer }
}

impl Copying {
    fn export(&self, pages: u32, access: Access) -> (Export<FakeXen>, Vec<ClaimedGrant>) {
        let export = self.pair.alice.share_as(&self.pair.bob, pages, access);
        let grants = self.pair.alice.offer(&export);
        (export, grants)
    }

    fn copy(&self, source: CopyEnd<'_, FakeXen>, dest: CopyEnd<'_, FakeXen>, len: u16) -> i16 {
        let mut segments = [Segment::new(source, dest, len)];
        self.bob.grant_copy(&mut segments).expect("a valid segment");
        segments[0].status.0
    }

    fn refused(&self, source: CopyEnd<'_, FakeXen>, dest: CopyEnd<'_, FakeXen>, len: u16) -> Errno {
        let before = self.pair.bob.system.counters().calls(Call::GnttabCopy);
        // Even the valid first segment isn't copied.
        let mut segments = [Segment::new(source, dest, 0), Segment::new(source, dest, len)];
        let error = self.bob.grant_copy(&mut segments).expect_err("refused whole");
        assert_eq!(self.pair.bob.system.counters().calls(Call::GnttabCopy), before);
        error.errno()
    }
}

fn bytes(shared: &impl Shared, offset: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    shared.read(offset, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_copy_needs_no_mapping_and_goes_in_both_directions() {
    let it = copying();
    let (export, grants) = it.export(1, Access::ReadWrite);
    export.write(100, b"from alice").unwrap();
    assert_eq!(it.copy(CopyEnd::Grant(grants[0], 100), CopyEnd::Buffer(&it.buffer, 7), 10), 0);
    assert_eq!(bytes(&it.buffer, 6, 12), b"\0from alice\0");
    it.buffer.write(0, b"from bob!!").unwrap();
    assert_eq!(it.copy(CopyEnd::Buffer(&it.buffer, 0), CopyEnd::Grant(grants[0], 4086), 10), 0);
    assert_eq!(bytes(&export, 4086, 10), b"from bob!!");
    assert!(export.is_idle());
    assert_eq!(it.pair.bob.gntdev.usage(), drivers::gntdev::Usage::default());
}

#[test]
fn local_memory_may_cross_its_pages_and_a_segment_is_split_there() {
    let it = copying();
    let (export, grants) = it.export(1, Access::ReadWrite);
    let pattern: Vec<u8> = (0..4096).map(|i| (i % 251) as u8 + 1).collect();
    export.write(0, &pattern).unwrap();
    for offset in [0, 1, 2000, 4095, 4096, 8192] {
        it.buffer.write(0, &vec![0; 3 * 4096]).unwrap();
        let status =
            it.copy(CopyEnd::Grant(grants[0], 0), CopyEnd::Buffer(&it.buffer, offset), 4096);
        assert_eq!(status, 0);
        assert_eq!(bytes(&it.buffer, offset, 4096), pattern, "offset {offset}");
        export.write(0, &[0; 4096]).unwrap();
        assert_eq!(
            it.copy(CopyEnd::Buffer(&it.buffer, offset), CopyEnd::Grant(grants[0], 0), 4096),
            0
        );
        assert_eq!(bytes(&export, 0, 4096), pattern, "back from offset {offset}");
    }
}

#[test]
fn exported_pages_are_local_memory_too() {
    let it = copying();
    let (export, grants) = it.export(1, Access::ReadWrite);
    let own = it.pair.bob.gntalloc.open().alloc(domid(9), Pages(2), Access::ReadOnly).unwrap();
    export.write(0, b"relayed").unwrap();
    assert_eq!(it.copy(CopyEnd::Grant(grants[0], 0), CopyEnd::Export(&own, 4092), 7), 0);
    assert_eq!(bytes(&own, 4092, 7), b"relayed");
    assert_eq!(it.copy(CopyEnd::Export(&own, 4092), CopyEnd::Grant(grants[0], 500), 7), 0);
    assert_eq!(bytes(&export, 500, 7), b"relayed");
}

#[test]
fn segments_on_the_pages_of_two_exports_are_all_copied() {
    let it = copying();
    let (export, grants) = it.export(1, Access::ReadWrite);
    let device = it.pair.bob.gntalloc.open();
    let own = [(), ()].map(|()| device.alloc(domid(9), Pages(1), Access::ReadOnly).unwrap());
    export.write(0, &[1, 2, 3, 4]).unwrap();
    let segment = |byte: u16| {
        let dest = CopyEnd::Export(&own[usize::from(byte) % 2], 4 * usize::from(byte));
        Segment::new(CopyEnd::Grant(grants[0], byte), dest, 1)
    };
    let mut segments = [0, 1, 2, 3].map(segment);
    it.bob.grant_copy(&mut segments).unwrap();
    assert!(segments.iter().all(|segment| segment.status == GrantStatus::OKAY));
    assert_eq!([bytes(&own[0], 0, 1)[0], bytes(&own[0], 8, 1)[0]], [1, 3]);
    assert_eq!([bytes(&own[1], 4, 1)[0], bytes(&own[1], 12, 1)[0]], [2, 4]);
}

#[test]
fn a_granted_page_is_copied_to_another() {
    let it = copying();
    let (export, grants) = it.export(2, Access::ReadWrite);
    export.write(0, b"twice").unwrap();
    assert_eq!(it.copy(CopyEnd::Grant(grants[0], 0), CopyEnd::Grant(grants[1], 4091), 5), 0);
    assert_eq!(bytes(&export, 2 * 4096 - 5, 5), b"twice");
}

#[test]
fn xens_answer_is_the_segments_status_and_the_others_are_copied() {
    let it = copying();
    let (export, grants) = it.export(2, Access::ReadOnly);
    export.write(0, &[5]).unwrap();
    let to = |at| CopyEnd::Buffer(&it.buffer, at);
    let grant = |domid, gref| CopyEnd::Grant(ClaimedGrant::new(domid, gref), 0);
    let mut segments = [
        Segment::new(CopyEnd::Grant(grants[0], 0), to(0), 1),
        Segment::new(grant(77, 8), to(1), 1),
        Segment::new(grant(ALICE, 99_999), to(2), 1),
        Segment::new(grant(ALICE, 3), to(3), 1),
        Segment::new(to(0), CopyEnd::Grant(grants[0], 0), 1),
        // A segment of no bytes isn't checked.
        Segment::new(grant(77, 99_999), to(4), 0),
        Segment::new(CopyEnd::Grant(grants[0], 0), to(5), 1),
    ];
    it.bob.grant_copy(&mut segments).unwrap();
    let statuses = segments.map(|segment| segment.status);
    let general = GrantStatus::GENERAL_ERROR;
    let (domain, gref) = (GrantStatus::BAD_DOMAIN, GrantStatus::BAD_GNTREF);
    let okay = GrantStatus::OKAY;
    assert_eq!(statuses, [okay, domain, gref, general, general, okay, okay]);
    assert_eq!(bytes(&it.buffer, 0, 6), [5, 0, 0, 0, 0, 5]);
}

#[test]
fn a_split_segments_status_is_that_of_the_first_part_that_failed() {
    let it = copying();
    let (_export, grants) = it.export(1, Access::ReadWrite);
    for (at, status) in [(0, -8), (1, -9)] {
        let status = GrantStatus(status);
        it.pair.bob.xen.inject(Call::GnttabCopy, fake_xen::Fault::Status { at, status });
        let copied = it.copy(CopyEnd::Grant(grants[0], 0), CopyEnd::Buffer(&it.buffer, 4090), 100);
        assert_eq!(copied, status.0, "part {at}");
    }
}

#[test]
fn any_number_of_segments_takes_one_hypercall() {
    let it = copying();
    let (export, grants) = it.export(1, Access::ReadWrite);
    let numbers: Vec<u8> = (0..100).collect();
    export.write(0, &numbers).unwrap();
    let copies = || it.pair.bob.system.counters().calls(Call::GnttabCopy);
    let before = copies();
    let segment = |byte: u16| {
        Segment::new(CopyEnd::Grant(grants[0], byte), CopyEnd::Buffer(&it.buffer, byte.into()), 1)
    };
    let mut segments: Vec<_> = (0..100).map(segment).collect();
    it.bob.grant_copy(&mut segments).unwrap();
    assert_eq!(bytes(&it.buffer, 0, 100), numbers);
    assert_eq!(copies() - before, 1);
    it.bob.grant_copy(&mut []).expect("nothing to do");
    assert_eq!(copies() - before, 1);
}

#[test]
fn an_invalid_segment_refuses_the_call_before_anything_is_copied() {
    let it = copying();
    let (_export, grants) = it.export(1, Access::ReadWrite);
    let (grant, local) = (|at| CopyEnd::Grant(grants[0], at), |at| CopyEnd::Buffer(&it.buffer, at));
    assert_eq!(it.refused(local(0), local(9), 1), Errno::EINVAL, "no grant");
    assert_eq!(it.refused(grant(1), local(0), 4096), Errno::EINVAL, "leaves the source's page");
    assert_eq!(it.refused(local(0), grant(4096), 1), Errno::EINVAL, "leaves the target's page");
    assert_eq!(it.refused(grant(0), local(3 * 4096 - 1), 2), Errno::EINVAL, "leaves the buffer");
    assert_eq!(it.refused(grant(0), local(3 * 4096), u16::MAX), Errno::EINVAL);
}

#[test]
fn an_offset_that_wraps_is_refused() {
    let it = copying();
    let (_export, grants) = it.export(1, Access::ReadWrite);
    let mut segment =
        [Segment::new(CopyEnd::Grant(grants[0], 0), CopyEnd::Buffer(&it.buffer, usize::MAX), 2)];
    assert_eq!(it.bob.grant_copy(&mut segment).unwrap_err().errno(), Errno::EINVAL);
}

#[test]
fn an_index_device_copies_as_the_typed_one_does() {
    let it = copying();
    let (export, grants) = it.export(1, Access::ReadWrite);
    export.write(5, b"by index").unwrap();
    let device = it.pair.bob.gntdev.open_indexed().unwrap();
    let mut segment =
        [Segment::new(CopyEnd::Grant(grants[0], 5), CopyEnd::Buffer(&it.buffer, 1), 8)];
    device.grant_copy(&mut segment).unwrap();
    assert_eq!(segment[0].status, GrantStatus::OKAY);
    assert_eq!(bytes(&it.buffer, 1, 8), b"by index");
    segment[0].len = 4092;
    assert_eq!(device.grant_copy(&mut segment).unwrap_err().errno(), Errno::EINVAL);
}

#[test]
fn one_domain_copies_with_itself_and_domid_self_means_the_caller() {
    let guest = World::new().guest(5, Config::default());
    let mut grefs = [GrantRef(0)];
    let alloc = guest.gntalloc.open_indexed().unwrap();
    alloc.alloc_gref(5, FLAG_WRITABLE, &mut grefs).unwrap();
    let local = alloc.mmap(Index(0), Pages(1), true).unwrap();
    local.write(0, b"self").unwrap();
    let buffer = Buffer::new(&guest.system, Pages(1)).unwrap();
    let device = guest.gntdev.open().unwrap();
    for domid in [5, 0x7FF0] {
        buffer.write(0, &[0; 4]).unwrap();
        let source = CopyEnd::Grant(ClaimedGrant::new(domid, grefs[0].0), 0);
        let mut segment = [Segment::new(source, CopyEnd::Buffer(&buffer, 0), 4)];
        device.grant_copy(&mut segment).unwrap();
        assert_eq!(
            (segment[0].status, bytes(&buffer, 0, 4)),
            (GrantStatus::OKAY, b"self".to_vec())
        );
    }
}

#[test]
fn a_buffer_starts_zeroed_and_its_pages_are_scrubbed_when_freed() {
    let pair = Pair::of(Config { pages: 2, ..Config::default() }, Config::default());
    for _ in 0..2 {
        let buffer = Buffer::new(&pair.alice.system, Pages(2)).unwrap();
        assert_eq!(bytes(&buffer, 0, 8192), [0; 8192]);
        buffer.write(4094, b"secret").unwrap();
        assert_eq!(bytes(&buffer, 4094, 6), b"secret");
        buffer.store_u32(4096, 7).unwrap();
        assert_eq!(buffer.load_u32(4096), Ok(7));
        assert!(buffer.load_u32(8192).is_err() && buffer.store_u32(2, 0).is_err());
        assert!(Buffer::new(&pair.alice.system, Pages(1)).is_err(), "no page is left");
    }
    assert!(Buffer::new(&pair.alice.system, Pages(3)).is_err());
    pair.assert_clean();
}

#[test]
fn without_memory_for_all_operations_a_copy_makes_four_at_a_time() {
    let it = copying();
    let (_export, grants) = it.export(1, Access::ReadWrite);
    let across = CopyEnd::Buffer(&it.buffer, 4090);
    let within = CopyEnd::Buffer(&it.buffer, 0);
    // `two` segments of two operations each, then `one` segments of a single operation.
    let parts = |two: usize, one: usize| {
        let two = std::iter::repeat_n(across, two);
        let ends = two.chain(std::iter::repeat_n(within, one));
        ends.map(|dest| Segment::new(CopyEnd::Grant(grants[0], 0), dest, 12)).collect::<Vec<_>>()
    };
    let calls = || it.pair.bob.system.counters().calls(Call::GnttabCopy);
    for (two, one, hypercalls) in [(2, 0, 1), (2, 1, 2), (1, 2, 1), (1, 3, 2), (4, 0, 2), (0, 9, 3)]
    {
        let (mut segments, before) = (parts(two, one), calls());
        let (copied, refused) = heap::refuse(0, || it.bob.grant_copy(&mut segments));
        copied.unwrap();
        assert_eq!(refused, 2 * two + one > 4, "few operations need no memory");
        assert!(segments.iter().all(|segment| segment.status == GrantStatus::OKAY));
        assert_eq!(calls() - before, hypercalls, "{two} of two operations, {one} of one");
    }
}
