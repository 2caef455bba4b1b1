// SPDX-License-Identifier: MIT OR Apache-2.0
//! GRANT_COPY as an ioctl: segments and memory by address, and what is refused as a whole.

mod common;

use common::{ALICE, Arg, PAGE, RW, errno, map_arg, open_gntdev, share};
use drivers::Errno;
use drivers::shared::{Shared, SharedMut};
use fake_xen::Pair;
use linux::abi::gntdev::*;
use linux::ioctl::{MAP_SHARED, PROT_READ};

/// Encodes a segment. Each side is an address, or a grant with its offset.
fn segment(source: (u64, bool), dest: (u64, bool), len: u16) -> Vec<u8> {
    let flags = u16::from(source.1) | u16::from(dest.1) << 1;
    Arg::new::<GntdevGrantCopySegment>(0)
        .put(0, &source.0.to_ne_bytes())
        .put(8, &dest.0.to_ne_bytes())
        .put(16, &len.to_ne_bytes())
        .put(18, &flags.to_ne_bytes())
        .put(20, &99i16.to_ne_bytes())
        .0
}

fn foreign(domid: u16, gref: u32, offset: u16) -> u64 {
    u64::from(gref) | u64::from(offset) << 32 | u64::from(domid) << 48
}

fn copy_arg(at: u64, count: u32) -> Arg {
    Arg::new::<IoctlGntdevGrantCopy>(0).put(0, &count.to_ne_bytes()).put(8, &at.to_ne_bytes())
}

#[test]
fn grant_copy_takes_segments_and_memory_from_what_the_file_has_mapped() {
    let pair = Pair::new();
    let (export, refs) = share(&pair, 3);
    let mapper = open_gntdev(&pair);
    mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut map_arg(&refs).0).unwrap();
    let addr = mapper.mmap(2 * PAGE, RW, MAP_SHARED, 0).unwrap();
    export.write(2 * 4096, b"third page").unwrap();
    let grant = |offset| (foreign(ALICE, refs[2].1, offset), true);
    let memory = ((addr + 4090) as u64, false);
    let segments = [
        segment(grant(0), memory, 10),
        segment(memory, grant(100), 10),
        segment((foreign(77, 8, 0), true), memory, 1),
        segment(grant(100), grant(200), 10),
    ];
    mapper.write(addr, &segments.concat()).unwrap();
    mapper.ioctl(IOCTL_GNTDEV_GRANT_COPY, &mut copy_arg(addr as u64, 4).0).unwrap();
    let mut bytes = [0; 10];
    for offset in [4090, 2 * 4096 + 100, 2 * 4096 + 200] {
        export.read(offset, &mut bytes).unwrap();
        assert_eq!(&bytes, b"third page", "{offset}");
    }
    let status = |number: usize| {
        let mut status = [0; 2];
        mapper.read(addr + 24 * number + 20, &mut status).unwrap();
        i16::from_ne_bytes(status)
    };
    assert_eq!([0, 1, 2, 3].map(status), [0, 0, -2, 0]);
    mapper.ioctl(IOCTL_GNTDEV_GRANT_COPY, &mut copy_arg(1, 0).0).expect("no segment is nowhere");
}

#[test]
fn grant_copy_refuses_what_is_not_mapped_before_it_copies() {
    let pair = Pair::new();
    let (export, refs) = share(&pair, 3);
    let mapper = open_gntdev(&pair);
    mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut map_arg(&refs).0).unwrap();
    let addr = mapper.mmap(PAGE, RW, MAP_SHARED, 0).unwrap();
    let readable = mapper.mmap(PAGE, PROT_READ, MAP_SHARED, PAGE).unwrap();
    export.write(2 * 4096, &[5]).unwrap();
    let grant = |offset| (foreign(ALICE, refs[2].1, offset), true);
    let at = |addr: usize| (addr as u64, false);
    let good = segment(grant(0), at(addr + 2000), 1);
    let refused = |bad: Vec<u8>| {
        mapper.write(addr, &[good.clone(), bad].concat()).unwrap();
        let refused = errno(mapper.ioctl(IOCTL_GNTDEV_GRANT_COPY, &mut copy_arg(addr as u64, 2).0));
        let mut byte = [0];
        mapper.read(addr + 2000, &mut byte).unwrap();
        assert_eq!(byte, [0], "the good segment was not copied");
        refused
    };
    assert_eq!(refused(segment(at(addr), at(addr), 1)), Errno::EINVAL, "no grant");
    assert_eq!(refused(segment(at(1), at(2), 1)), Errno::EINVAL, "no grant comes first");
    assert_eq!(refused(segment(grant(4096), at(addr), 1)), Errno::EINVAL);
    assert_eq!(refused(segment(at(addr), grant(1), 4096)), Errno::EINVAL);
    assert_eq!(refused(segment(grant(0), at(readable), 1)), Errno::EFAULT, "read-only");
    assert_eq!(refused(segment(grant(0), at(0), 1)), Errno::EFAULT);
    assert_eq!(refused(segment(at(readable + 4090), grant(0), 7)), Errno::EFAULT);
    assert_eq!(refused(segment(at(usize::MAX), grant(0), 2)), Errno::EFAULT);
    for (at, count) in [
        (0, 1),
        (addr as u64 + 4090, 1),
        (addr as u64, u32::MAX),
        (readable as u64, 1),
        (u64::MAX, 1),
    ] {
        let refused = errno(mapper.ioctl(IOCTL_GNTDEV_GRANT_COPY, &mut copy_arg(at, count).0));
        assert_eq!(refused, Errno::EFAULT, "{at:#x} {count}");
    }
}

#[test]
fn a_hypercall_that_fails_in_grant_copy_is_the_calls_error() {
    let pair = Pair::new();
    let (_export, refs) = share(&pair, 2);
    let mapper = open_gntdev(&pair);
    mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut map_arg(&refs).0).unwrap();
    let addr = mapper.mmap(PAGE, RW, MAP_SHARED, 0).unwrap();
    let bytes = segment((foreign(ALICE, refs[1].1, 0), true), (addr as u64 + 99, false), 1);
    mapper.write(addr, &bytes).unwrap();
    pair.bob.xen.deny(drivers::Call::GnttabCopy, Some(Errno::ENOSYS));
    assert_eq!(
        errno(mapper.ioctl(IOCTL_GNTDEV_GRANT_COPY, &mut copy_arg(addr as u64, 1).0)),
        Errno::ENOSYS
    );
}
