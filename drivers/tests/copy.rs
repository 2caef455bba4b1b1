//! Grant copy: what may be copied where, what each segment's status is, and what is refused whole.

mod common;

use common::{ALICE, BOB, Pair, claim, domid, guest, offer, pair, pair_of};
use drivers::buffer::Buffer;
use drivers::gntalloc::{Export, FLAG_WRITABLE, GntAlloc};
use drivers::gntdev::{CopyEnd, Handle, Segment};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, Errno, ForeignGrant, GrantRef, Hypervisor};
use fake_xen::{Config, FakeXen};
use xen_sys::grant_table::GrantStatus;

struct Rig {
    pair: Pair,
    bob: Handle<FakeXen>,
    buffer: Buffer<FakeXen>,
}

fn rig() -> Rig {
    let pair = pair();
    let bob = pair.bob.gntdev.open().unwrap();
    let buffer = Buffer::new(&pair.bob.xen, 3).unwrap();
    Rig { pair, bob, buffer }
}

impl Rig {
    fn export(&self, pages: u32, access: Access) -> (Export<FakeXen>, Vec<ForeignGrant>) {
        let export = self.pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), pages, access);
        let export = export.unwrap();
        let grants = offer(ALICE, &export);
        (export, grants)
    }

    fn copy(&self, source: CopyEnd<'_, FakeXen>, dest: CopyEnd<'_, FakeXen>, len: u16) -> i16 {
        let mut segments = [Segment::new(source, dest, len)];
        self.bob.grant_copy(&mut segments).expect("a valid segment");
        segments[0].status.0
    }

    fn refused(&self, source: CopyEnd<'_, FakeXen>, dest: CopyEnd<'_, FakeXen>, len: u16) -> Errno {
        let before = self.pair.bob.xen.counters().calls(Call::GnttabCopy);
        // A good segment first: nothing of the call is carried out.
        let mut segments = [Segment::new(source, dest, 0), Segment::new(source, dest, len)];
        let error = self.bob.grant_copy(&mut segments).expect_err("refused whole");
        assert_eq!(self.pair.bob.xen.counters().calls(Call::GnttabCopy), before);
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
    let rig = rig();
    let (export, grants) = rig.export(1, Access::ReadWrite);
    export.write(100, b"from alice").unwrap();
    assert_eq!(rig.copy(CopyEnd::Grant(grants[0], 100), CopyEnd::Buffer(&rig.buffer, 7), 10), 0);
    assert_eq!(bytes(&rig.buffer, 6, 12), b"\0from alice\0");
    rig.buffer.write(0, b"from bob!!").unwrap();
    assert_eq!(rig.copy(CopyEnd::Buffer(&rig.buffer, 0), CopyEnd::Grant(grants[0], 4086), 10), 0);
    assert_eq!(bytes(&export, 4086, 10), b"from bob!!");
    assert!(export.is_idle());
    assert_eq!(rig.pair.bob.gntdev.usage(), drivers::gntdev::Usage::default());
}

#[test]
fn local_memory_may_cross_its_pages_and_a_segment_is_split_there() {
    let rig = rig();
    let (export, grants) = rig.export(1, Access::ReadWrite);
    let pattern: Vec<u8> = (0..4096).map(|i| (i % 251) as u8 + 1).collect();
    export.write(0, &pattern).unwrap();
    for offset in [0, 1, 2000, 4095, 4096, 8192] {
        rig.buffer.write(0, &vec![0; 3 * 4096]).unwrap();
        let status =
            rig.copy(CopyEnd::Grant(grants[0], 0), CopyEnd::Buffer(&rig.buffer, offset), 4096);
        assert_eq!(status, 0);
        assert_eq!(bytes(&rig.buffer, offset, 4096), pattern, "offset {offset}");
        export.write(0, &[0; 4096]).unwrap();
        assert_eq!(
            rig.copy(CopyEnd::Buffer(&rig.buffer, offset), CopyEnd::Grant(grants[0], 0), 4096),
            0
        );
        assert_eq!(bytes(&export, 0, 4096), pattern, "back from offset {offset}");
    }
}

#[test]
fn pages_that_are_shared_themselves_are_local_memory_too() {
    let rig = rig();
    let (export, grants) = rig.export(1, Access::ReadWrite);
    let own = rig.pair.bob.gntalloc.open().unwrap().alloc(domid(9), 2, Access::ReadOnly).unwrap();
    export.write(0, b"relayed").unwrap();
    assert_eq!(rig.copy(CopyEnd::Grant(grants[0], 0), CopyEnd::Export(&own, 4092), 7), 0);
    assert_eq!(bytes(&own, 4092, 7), b"relayed");
    assert_eq!(rig.copy(CopyEnd::Export(&own, 4092), CopyEnd::Grant(grants[0], 500), 7), 0);
    assert_eq!(bytes(&export, 500, 7), b"relayed");
}

#[test]
fn segments_on_the_pages_of_two_services_are_copied_all() {
    let rig = rig();
    let (export, grants) = rig.export(1, Access::ReadWrite);
    let bob = &rig.pair.bob;
    let other = GntAlloc::new(&bob.xen, bob.table.clone(), bob.events.clone(), 4);
    let own = [&bob.gntalloc, &other]
        .map(|service| service.open().unwrap().alloc(domid(9), 1, Access::ReadOnly).unwrap());
    export.write(0, &[1, 2, 3, 4]).unwrap();
    let segment = |byte: u16| {
        let dest = CopyEnd::Export(&own[usize::from(byte) % 2], 4 * usize::from(byte));
        Segment::new(CopyEnd::Grant(grants[0], byte), dest, 1)
    };
    let mut segments = [0, 1, 2, 3].map(segment);
    rig.bob.grant_copy(&mut segments).unwrap();
    assert!(segments.iter().all(|segment| segment.status == GrantStatus::OKAY));
    assert_eq!([bytes(&own[0], 0, 1)[0], bytes(&own[0], 8, 1)[0]], [1, 3]);
    assert_eq!([bytes(&own[1], 4, 1)[0], bytes(&own[1], 12, 1)[0]], [2, 4]);
}

#[test]
fn a_granted_page_is_copied_to_another() {
    let rig = rig();
    let (export, grants) = rig.export(2, Access::ReadWrite);
    export.write(0, b"twice").unwrap();
    assert_eq!(rig.copy(CopyEnd::Grant(grants[0], 0), CopyEnd::Grant(grants[1], 4091), 5), 0);
    assert_eq!(bytes(&export, 2 * 4096 - 5, 5), b"twice");
}

#[test]
fn xens_answer_is_the_segments_status_and_the_others_are_copied() {
    let rig = rig();
    let (export, grants) = rig.export(2, Access::ReadOnly);
    export.write(0, &[5]).unwrap();
    let to = |at| CopyEnd::Buffer(&rig.buffer, at);
    let grant = |domid, gref| CopyEnd::Grant(claim(domid, gref), 0);
    let mut segments = [
        Segment::new(CopyEnd::Grant(grants[0], 0), to(0), 1),
        Segment::new(grant(77, 8), to(1), 1),
        Segment::new(grant(ALICE, 99_999), to(2), 1),
        Segment::new(grant(ALICE, 3), to(3), 1),
        Segment::new(to(0), CopyEnd::Grant(grants[0], 0), 1),
        // Nothing is looked at for no bytes.
        Segment::new(grant(77, 99_999), to(4), 0),
        Segment::new(CopyEnd::Grant(grants[0], 0), to(5), 1),
    ];
    rig.bob.grant_copy(&mut segments).unwrap();
    let statuses = segments.map(|segment| segment.status);
    let general = GrantStatus::GENERAL_ERROR;
    let (domain, gref) = (GrantStatus::BAD_DOMAIN, GrantStatus::BAD_GNTREF);
    let okay = GrantStatus::OKAY;
    assert_eq!(statuses, [okay, domain, gref, general, general, okay, okay]);
    assert_eq!(bytes(&rig.buffer, 0, 6), [5, 0, 0, 0, 0, 5]);
}

#[test]
fn a_split_segments_status_is_that_of_the_first_part_that_failed() {
    let rig = rig();
    let (_export, grants) = rig.export(1, Access::ReadWrite);
    for (at, status) in [(0, -8), (1, -9)] {
        let status = GrantStatus(status);
        rig.pair.bob.xen.inject(Call::GnttabCopy, fake_xen::Fault::Status { at, status });
        let copied =
            rig.copy(CopyEnd::Grant(grants[0], 0), CopyEnd::Buffer(&rig.buffer, 4090), 100);
        assert_eq!(copied, status.0, "part {at}");
    }
}

#[test]
fn many_segments_go_sixteen_operations_to_a_hypercall() {
    let rig = rig();
    let (export, grants) = rig.export(1, Access::ReadWrite);
    let numbers: Vec<u8> = (0..100).collect();
    export.write(0, &numbers).unwrap();
    let copies = || rig.pair.bob.xen.counters().calls(Call::GnttabCopy);
    let before = copies();
    let segment = |byte: u16| {
        Segment::new(CopyEnd::Grant(grants[0], byte), CopyEnd::Buffer(&rig.buffer, byte.into()), 1)
    };
    let mut segments: Vec<_> = (0..100).map(segment).collect();
    rig.bob.grant_copy(&mut segments).unwrap();
    assert_eq!(bytes(&rig.buffer, 0, 100), numbers);
    assert_eq!(copies() - before, 7);
    rig.bob.grant_copy(&mut []).expect("nothing to do");
    assert_eq!(copies() - before, 7);
}

#[test]
fn an_invalid_segment_refuses_the_call_before_anything_is_copied() {
    let rig = rig();
    let (_export, grants) = rig.export(1, Access::ReadWrite);
    let (grant, local) =
        (|at| CopyEnd::Grant(grants[0], at), |at| CopyEnd::Buffer(&rig.buffer, at));
    assert_eq!(rig.refused(local(0), local(9), 1), Errno::EINVAL, "no grant");
    assert_eq!(rig.refused(grant(1), local(0), 4096), Errno::EINVAL, "leaves the source's page");
    assert_eq!(rig.refused(local(0), grant(4096), 1), Errno::EINVAL, "leaves the target's page");
    assert_eq!(rig.refused(grant(0), local(3 * 4096 - 1), 2), Errno::EINVAL, "leaves the buffer");
    assert_eq!(rig.refused(grant(0), local(3 * 4096), u16::MAX), Errno::EINVAL);
}

#[test]
fn an_offset_that_wraps_is_refused() {
    let rig = rig();
    let (_export, grants) = rig.export(1, Access::ReadWrite);
    let mut segment =
        [Segment::new(CopyEnd::Grant(grants[0], 0), CopyEnd::Buffer(&rig.buffer, usize::MAX), 2)];
    assert_eq!(rig.bob.grant_copy(&mut segment).unwrap_err().errno(), Errno::EINVAL);
}

#[test]
fn a_page_of_an_export_that_was_let_go_of_by_its_index_is_no_local_memory() {
    let rig = rig();
    let (_export, grants) = rig.export(1, Access::ReadWrite);
    let alloc = rig.pair.bob.gntalloc.open().unwrap();
    let own = alloc.alloc(domid(9), 2, Access::ReadOnly).unwrap();
    alloc.dealloc_gref(4096, 1).unwrap();
    let to = |at| CopyEnd::Export(&own, at);
    assert_eq!(rig.copy(CopyEnd::Grant(grants[0], 0), to(4000), 96), 0);
    let mut segment = [Segment::new(CopyEnd::Grant(grants[0], 0), to(4000), 97)];
    assert_eq!(rig.bob.grant_copy(&mut segment).unwrap_err().errno(), Errno::EINVAL);
}

#[test]
fn one_domain_copies_with_itself_and_domid_self_means_the_caller() {
    let world = fake_xen::World::new();
    let guest = guest(&world, 5, Config::default());
    let mut grefs = [GrantRef(0)];
    let alloc = guest.gntalloc.open().unwrap();
    alloc.alloc_gref(5, FLAG_WRITABLE, &mut grefs).unwrap();
    let local = alloc.mmap(0, 1, true).unwrap();
    local.write(0, b"self").unwrap();
    let buffer = Buffer::new(&guest.xen, 1).unwrap();
    let handle = guest.gntdev.open().unwrap();
    for domid in [5, 0x7FF0] {
        buffer.write(0, &[0; 4]).unwrap();
        let source = CopyEnd::Grant(claim(domid, grefs[0].0), 0);
        let mut segment = [Segment::new(source, CopyEnd::Buffer(&buffer, 0), 4)];
        handle.grant_copy(&mut segment).unwrap();
        assert_eq!(
            (segment[0].status, bytes(&buffer, 0, 4)),
            (GrantStatus::OKAY, b"self".to_vec())
        );
    }
}

#[test]
fn a_buffer_is_zeroed_and_gives_its_pages_back_without_what_was_in_them() {
    let pair = pair_of(Config { pages: 2, ..Config::default() }, Config::default());
    for _ in 0..2 {
        let buffer = Buffer::new(&pair.alice.xen, 2).unwrap();
        assert_eq!(bytes(&buffer, 0, 8192), [0; 8192]);
        buffer.write(4094, b"secret").unwrap();
        assert_eq!(bytes(&buffer, 4094, 6), b"secret");
        buffer.store_u32(4096, 7).unwrap();
        assert_eq!(buffer.load_u32(4096), Ok(7));
        assert!(buffer.load_u32(8192).is_err() && buffer.store_u32(2, 0).is_err());
        assert!(Buffer::new(&pair.alice.xen, 1).is_err(), "no page is left");
    }
    assert!(Buffer::new(&pair.alice.xen, 3).is_err());
    pair.assert_clean();
}

#[test]
fn segments_that_cross_pages_count_for_two_of_the_16_entries_of_a_hypercall() {
    let rig = rig();
    let (_export, grants) = rig.export(1, Access::ReadWrite);
    let across = CopyEnd::Buffer(&rig.buffer, 4090);
    let within = CopyEnd::Buffer(&rig.buffer, 0);
    // Two entries each; then, with the batch full to the last entry, one of a single entry.
    let parts = |two: usize, one: usize| {
        let two = std::iter::repeat_n(across, two);
        let ends = two.chain(std::iter::repeat_n(within, one));
        ends.map(|dest| Segment::new(CopyEnd::Grant(grants[0], 0), dest, 12)).collect::<Vec<_>>()
    };
    let calls = || rig.pair.bob.xen.counters().calls(Call::GnttabCopy);
    for (two, one, hypercalls) in
        [(8, 0, 1), (8, 1, 2), (7, 2, 1), (7, 3, 2), (16, 0, 2), (0, 16, 1)]
    {
        let (mut segments, before) = (parts(two, one), calls());
        rig.bob.grant_copy(&mut segments).unwrap();
        assert!(segments.iter().all(|segment| segment.status == GrantStatus::OKAY));
        assert_eq!(calls() - before, hypercalls, "{two} of two entries, {one} of one");
    }
}
