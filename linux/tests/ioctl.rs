// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices as Linux's ABI has them: numbers, layouts, addresses, and what gives EFAULT.

mod common;

use std::mem::{offset_of, size_of};

use common::{
    ALICE, Arg, BOB, PAGE, RW, alloc_arg, errno, map_arg, open_gntalloc, open_gntdev, run_arg,
    share,
};
use drivers::Errno;
use drivers::shared::{Shared, SharedMut};
use fake_xen::Pair;
use linux::abi::gntalloc::*;
use linux::abi::gntdev::*;
use linux::ioctl::{MAP_SHARED, PROT_READ};
use xen_sys::grant_table::GrantStatus;

#[test]
fn a_page_goes_through_both_devices_by_numbers_alone() {
    let pair = Pair::new();
    let mut granter = open_gntalloc(&pair);
    let mut arg = alloc_arg(BOB, 1, 3);
    granter.ioctl(IOCTL_GNTALLOC_ALLOC_GREF, &mut arg.0).unwrap();
    let at = offset_of!(IoctlGntallocAllocGref, gref_ids);
    let refs = [0, 1, 2].map(|i| (u32::from(ALICE), arg.u32(at + 4 * i)));
    let own = granter.mmap(3 * PAGE, RW, MAP_SHARED, arg.u64(8)).unwrap();
    granter.write(own + 4090, b"from alice").unwrap();

    let mut mapper = open_gntdev(&pair);
    let mut arg = map_arg(&refs);
    mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut arg.0).unwrap();
    let index = arg.u64(offset_of!(IoctlGntdevMapGrantRef, index));
    let addr = mapper.mmap(3 * PAGE, RW, MAP_SHARED, index).unwrap();
    let mut seen = [0; 10];
    mapper.read(addr + 4090, &mut seen).unwrap();
    assert_eq!(&seen, b"from alice");
    mapper.write(addr + 8190, b"bob").unwrap();
    granter.read(own + 8190, &mut seen[..3]).unwrap();
    assert_eq!(&seen[..3], b"bob");

    let mut arg = Arg::new::<IoctlGntdevGetOffsetForVaddr>(0).put(0, &(addr as u64).to_ne_bytes());
    mapper.ioctl(IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &mut arg.0).unwrap();
    assert_eq!((arg.u64(8), arg.u32(16)), (index, 3));
    assert_eq!(
        errno(mapper.ioctl(IOCTL_GNTDEV_UNMAP_GRANT_REF, &mut run_arg(index, 3).0)),
        Errno::EBUSY
    );
    mapper.munmap(addr, 3 * PAGE).unwrap();
    mapper.ioctl(IOCTL_GNTDEV_UNMAP_GRANT_REF, &mut run_arg(index, 3).0).unwrap();
    granter.munmap(own, 3 * PAGE).unwrap();
    granter.ioctl(IOCTL_GNTALLOC_DEALLOC_GREF, &mut run_arg(0, 3).0).unwrap();
    drop((granter, mapper));
    pair.assert_clean();
}

#[test]
fn every_command_of_the_other_device_and_every_unknown_one_is_enotty() {
    let pair = Pair::new();
    let (granter, mapper) = (open_gntalloc(&pair), open_gntdev(&pair));
    let ours = [
        IOCTL_GNTDEV_MAP_GRANT_REF,
        IOCTL_GNTDEV_UNMAP_GRANT_REF,
        IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR,
        IOCTL_GNTDEV_SET_MAX_GRANTS,
        IOCTL_GNTDEV_GRANT_COPY,
    ];
    for command in ours {
        assert_eq!(errno(granter.ioctl(command, &mut [0; 64])), Errno::ENOTTY);
    }
    for command in [IOCTL_GNTALLOC_ALLOC_GREF, IOCTL_GNTALLOC_DEALLOC_GREF] {
        assert_eq!(errno(mapper.ioctl(command, &mut [0; 64])), Errno::ENOTTY);
    }
    // The dma-buf commands, and others.
    let dmabuf = [24 << 16 | 0x4709, 8 << 16 | 0x470A, 24 << 16 | 0x470B, 8 << 16 | 0x470C];
    for command in
        dmabuf.into_iter().chain([0, u32::MAX, IOCTL_GNTDEV_MAP_GRANT_REF ^ 1 << 16, 0x4704])
    {
        assert_eq!(errno(mapper.ioctl(command, &mut [0; 64])), Errno::ENOTTY, "{command:#x}");
        assert_eq!(errno(granter.ioctl(command, &mut [0; 64])), Errno::ENOTTY, "{command:#x}");
    }
}

#[test]
fn an_argument_that_ends_before_its_structure_is_efault_and_changes_nothing() {
    let pair = Pair::new();
    let (granter, mapper) = (open_gntalloc(&pair), open_gntdev(&pair));
    let of_gntdev = [
        IOCTL_GNTDEV_MAP_GRANT_REF,
        IOCTL_GNTDEV_UNMAP_GRANT_REF,
        IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR,
        IOCTL_GNTDEV_SET_MAX_GRANTS,
        IOCTL_GNTDEV_SET_UNMAP_NOTIFY,
        IOCTL_GNTDEV_GRANT_COPY,
    ];
    for command in of_gntdev {
        for len in 0..(command >> 16) as usize {
            assert_eq!(errno(mapper.ioctl(command, &mut vec![0; len])), Errno::EFAULT, "{len}");
        }
    }
    for command in
        [IOCTL_GNTALLOC_ALLOC_GREF, IOCTL_GNTALLOC_DEALLOC_GREF, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY]
    {
        for len in 0..(command >> 16) as usize {
            assert_eq!(errno(granter.ioctl(command, &mut vec![0; len])), Errno::EFAULT, "{len}");
        }
    }
    // Fewer grefs than the count says, up to a count whose size overflows.
    for count in [3, 100, u32::MAX / 8 + 1, u32::MAX] {
        let mut arg = map_arg(&[(1, 8), (1, 9)]).put(0, &count.to_ne_bytes());
        assert_eq!(
            errno(mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut arg.0)),
            Errno::EFAULT,
            "{count}"
        );
        let mut arg = alloc_arg(BOB, 1, 1).put(4, &count.to_ne_bytes());
        assert_eq!(
            errno(granter.ioctl(IOCTL_GNTALLOC_ALLOC_GREF, &mut arg.0)),
            Errno::EFAULT,
            "{count}"
        );
    }
    assert_eq!(mapper.device().unwrap().usage().reserved, 0);
    assert_eq!(pair.alice.gntalloc.in_use(), 0);
}

#[test]
fn a_refused_call_writes_nothing_to_its_argument() {
    let pair = Pair::new();
    pair.alice.gntalloc.set_limit(1);
    let (granter, mapper) = (open_gntalloc(&pair), open_gntdev(&pair));
    let mut arg = alloc_arg(BOB, 1, 2);
    let before = arg.clone();
    assert_eq!(errno(granter.ioctl(IOCTL_GNTALLOC_ALLOC_GREF, &mut arg.0)), Errno::ENOSPC);
    assert_eq!(arg, before);
    let mut arg = Arg::new::<IoctlGntdevSetMaxGrants>(0).put(0, &1u32.to_ne_bytes());
    mapper.ioctl(IOCTL_GNTDEV_SET_MAX_GRANTS, &mut arg.0).unwrap();
    let mut arg = map_arg(&[(1, 8), (1, 9)]);
    let before = arg.clone();
    assert_eq!(errno(mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut arg.0)), Errno::ENOMEM);
    assert_eq!(arg, before);
}

#[test]
fn count_0_is_einval_to_map_and_success_to_alloc_and_to_unmap() {
    let pair = Pair::new();
    let (granter, mapper) = (open_gntalloc(&pair), open_gntdev(&pair));
    assert_eq!(errno(mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut map_arg(&[]).0)), Errno::EINVAL);
    assert_eq!(mapper.ioctl(IOCTL_GNTDEV_UNMAP_GRANT_REF, &mut run_arg(77, 0).0), Ok(()));
    assert_eq!(granter.ioctl(IOCTL_GNTALLOC_ALLOC_GREF, &mut alloc_arg(BOB, 1, 0).0), Ok(()));
    assert_eq!(
        errno(granter.ioctl(IOCTL_GNTALLOC_DEALLOC_GREF, &mut run_arg(0, 0).0)),
        Errno::EINVAL
    );
}

#[test]
fn a_domid_beyond_16_bits_is_reserved_and_refused_at_mmap() {
    let pair = Pair::new();
    let mapper = open_gntdev(&pair);
    let (_export, refs) = share(&pair, 1);
    // Truncated, it would be alice's domid.
    let mut arg = map_arg(&[(0x1_0000 + u32::from(ALICE), refs[0].1)]);
    mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut arg.0).unwrap();
    let error = mapper.mmap(PAGE, RW, MAP_SHARED, arg.u64(8)).unwrap_err();
    assert_eq!((error.errno(), error.status()), (Errno::EINVAL, Some(GrantStatus::BAD_DOMAIN)));
}

#[test]
fn a_length_is_rounded_up_to_pages_and_one_that_wraps_is_refused() {
    let pair = Pair::new();
    let mut mapper = open_gntdev(&pair);
    let (_export, refs) = share(&pair, 2);
    let mut arg = map_arg(&refs);
    mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut arg.0).unwrap();
    for length in [0, 1 << 44, u64::MAX, u64::MAX - 4095] {
        assert_eq!(errno(mapper.mmap(length, RW, MAP_SHARED, 0)), Errno::ENXIO, "{length:#x}");
    }
    assert_eq!(errno(mapper.mmap(PAGE, RW, MAP_SHARED, 5)), Errno::ENXIO, "no page's index");
    let addr = mapper.mmap(PAGE + 1, RW, MAP_SHARED, 0).unwrap();
    for length in [0, PAGE, 2 * PAGE + 1, u64::MAX] {
        assert_eq!(errno(mapper.munmap(addr, length)), Errno::EINVAL, "{length:#x}");
    }
    mapper.munmap(addr, PAGE + 9).unwrap();
    let mut granter = open_gntalloc(&pair);
    granter.ioctl(IOCTL_GNTALLOC_ALLOC_GREF, &mut alloc_arg(BOB, 1, 1).0).unwrap();
    for length in [0, PAGE + 1, 1 << 44, u64::MAX] {
        assert_eq!(errno(granter.mmap(length, RW, MAP_SHARED, 0)), Errno::ENOENT, "{length:#x}");
    }
    let addr = granter.mmap(1, RW, MAP_SHARED, 0).unwrap();
    for length in [0, 2 * PAGE, u64::MAX] {
        assert_eq!(errno(granter.munmap(addr, length)), Errno::EINVAL, "{length:#x}");
    }
    granter.munmap(addr, 1).unwrap();
    assert_eq!(errno(granter.munmap(addr, 1)), Errno::EINVAL, "once");
}

#[test]
fn an_address_is_valid_only_inside_what_this_files_mmap_returned() {
    let pair = Pair::new();
    let (export, refs) = share(&pair, 4);
    export.write(0, &[7; 4 * 4096]).unwrap();
    let mut mapper = open_gntdev(&pair);
    mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut map_arg(&refs).0).unwrap();
    let addr = mapper.mmap(2 * PAGE, PROT_READ, MAP_SHARED, PAGE).unwrap();
    let mut bytes = [0; 8];
    for bad in
        [0, 1, addr - 1, addr - 4096, addr + 8192 - 7, addr + 8192, usize::MAX - 3, usize::MAX]
    {
        assert_eq!(errno(mapper.read(bad, &mut bytes)), Errno::EFAULT, "{bad:#x}");
        assert_eq!(errno(mapper.write(bad, &bytes)), Errno::EFAULT, "{bad:#x}");
        assert_eq!(bytes, [0; 8], "nothing was read");
    }
    assert_eq!(errno(mapper.write(addr, &[1])), Errno::EFAULT, "mapped read-only");
    assert_eq!(mapper.read(usize::MAX, &mut []), Ok(()), "no byte is nowhere");
    assert_eq!(mapper.write(0, &[]), Ok(()));
    // Two adjacent mappings are one range of addresses.
    let next = mapper.mmap(PAGE, PROT_READ, MAP_SHARED, 3 * PAGE).unwrap();
    assert_eq!(next, addr + 8192);
    mapper.read(next - 4, &mut bytes).unwrap();
    assert_eq!(bytes, [7; 8]);
    // Another file's mapping, and an unmapped one.
    assert_eq!(errno(open_gntdev(&pair).read(addr, &mut bytes)), Errno::EFAULT);
    mapper.munmap(addr, 2 * PAGE).unwrap();
    assert_eq!(errno(mapper.read(addr, &mut bytes)), Errno::EFAULT);
    mapper.read(next, &mut bytes).unwrap();
}

#[test]
fn gntallocs_addresses_are_its_own_and_as_strict() {
    let pair = Pair::new();
    let mut file = open_gntalloc(&pair);
    file.ioctl(IOCTL_GNTALLOC_ALLOC_GREF, &mut alloc_arg(BOB, 0, 3).0).unwrap();
    let all = file.mmap(3 * PAGE, RW, MAP_SHARED, 0).unwrap();
    let part = file.mmap(PAGE, PROT_READ, MAP_SHARED, PAGE).unwrap();
    file.write(all + 4095, &[1, 2]).unwrap();
    let mut bytes = [0; 2];
    file.read(part, &mut bytes[..1]).unwrap();
    assert_eq!(bytes, [2, 0], "two mappings of one page");
    for bad in [0, all - 1, all + 3 * 4096 - 1, part - 1, part + 4095, part + 4096, usize::MAX] {
        assert_eq!(errno(file.read(bad, &mut bytes)), Errno::EFAULT, "{bad:#x}");
        assert_eq!(errno(file.write(bad, &bytes)), Errno::EFAULT, "{bad:#x}");
    }
    assert_eq!(errno(file.write(part, &[1])), Errno::EFAULT, "mapped read-only");
    assert_eq!((file.read(1, &mut []), file.write(usize::MAX, &[])), (Ok(()), Ok(())));
    assert_eq!(errno(file.munmap(all + 4096, 2 * PAGE)), Errno::EINVAL, "part of a mapping");
    file.munmap(all, 3 * PAGE).unwrap();
    assert_eq!(errno(file.read(all, &mut bytes)), Errno::EFAULT, "unmapped");
    file.read(part, &mut bytes).unwrap();
}

#[test]
fn many_mappings_come_and_go_and_each_is_found() {
    let pair = Pair::new();
    let mut file = open_gntalloc(&pair);
    file.ioctl(IOCTL_GNTALLOC_ALLOC_GREF, &mut alloc_arg(BOB, 0, 1).0).unwrap();
    let mut mapped: Vec<usize> = Vec::new();
    for round in 0..if cfg!(miri) { 20 } else { 200 } {
        mapped.push(file.mmap(PAGE, RW, MAP_SHARED, 0).unwrap());
        if round % 3 == 2 {
            let addr = mapped.swap_remove(round % mapped.len());
            file.munmap(addr, PAGE).unwrap();
            assert_eq!(errno(file.read(addr, &mut [0])), Errno::EFAULT);
        }
        mapped.iter().for_each(|addr| file.read(*addr, &mut [0]).unwrap());
    }
    assert!(mapped.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn a_closed_file_answers_ebadf_and_keeps_what_is_mapped() {
    let pair = Pair::new();
    let (export, refs) = share(&pair, 2);
    let mut mapper = open_gntdev(&pair);
    mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut map_arg(&refs).0).unwrap();
    let addr = mapper.mmap(PAGE, RW, MAP_SHARED, 0).unwrap();
    mapper.close().unwrap();
    assert_eq!(errno(mapper.close()), Errno::EBADF);
    assert_eq!(errno(mapper.mmap(PAGE, RW, MAP_SHARED, PAGE)), Errno::EBADF);
    for command in
        [0, IOCTL_GNTDEV_MAP_GRANT_REF, IOCTL_GNTDEV_UNMAP_GRANT_REF, IOCTL_GNTDEV_GRANT_COPY]
    {
        assert_eq!(errno(mapper.ioctl(command, &mut [0; 64])), Errno::EBADF);
    }
    mapper.write(addr, b"still").unwrap();
    assert_eq!(pair.bob.gntdev.usage().reserved, 2);
    mapper.munmap(addr, PAGE).unwrap();
    assert_eq!(pair.bob.gntdev.usage().reserved, 0, "the last mapping ends it");
    assert_eq!(errno(mapper.munmap(addr, PAGE)), Errno::EINVAL);
    assert_eq!(errno(mapper.read(addr, &mut [0])), Errno::EFAULT);
    drop(export);

    let mut granter = open_gntalloc(&pair);
    granter.ioctl(IOCTL_GNTALLOC_ALLOC_GREF, &mut alloc_arg(BOB, 1, 2).0).unwrap();
    let addr = granter.mmap(PAGE, RW, MAP_SHARED, 0).unwrap();
    granter.close().unwrap();
    assert_eq!(errno(granter.close()), Errno::EBADF);
    assert_eq!(errno(granter.mmap(PAGE, RW, MAP_SHARED, 0)), Errno::EBADF);
    assert_eq!(errno(granter.ioctl(IOCTL_GNTALLOC_ALLOC_GREF, &mut [0; 64])), Errno::EBADF);
    granter.write(addr, b"still").unwrap();
    granter.munmap(addr, PAGE).unwrap();
    drop((granter, mapper));
    pair.assert_clean();
}

#[test]
fn dropping_a_file_is_the_end_of_its_process() {
    let pair = Pair::new();
    let (export, refs) = share(&pair, 2);
    let mapper = open_gntdev(&pair);
    mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut map_arg(&refs).0).unwrap();
    mapper.mmap(2 * PAGE, RW, MAP_SHARED, 0).unwrap();
    drop(mapper);
    assert!(export.is_idle());
    drop(export);
    let mut granter = open_gntalloc(&pair);
    granter.ioctl(IOCTL_GNTALLOC_ALLOC_GREF, &mut alloc_arg(BOB, 1, 2).0).unwrap();
    granter.mmap(2 * PAGE, RW, MAP_SHARED, 0).unwrap();
    drop(granter);
    pair.assert_clean();
}

#[test]
fn both_devices_take_notify_by_ioctl() {
    let pair = Pair::new();
    let (export, refs) = share(&pair, 1);
    let mut mapper = open_gntdev(&pair);
    mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut map_arg(&refs).0).unwrap();
    let notify = |index: u64, action: u32, port: u32| {
        Arg::new::<IoctlGntdevUnmapNotify>(0)
            .put(0, &index.to_ne_bytes())
            .put(8, &action.to_ne_bytes())
            .put(12, &port.to_ne_bytes())
            .0
    };
    assert_eq!(
        errno(mapper.ioctl(IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &mut notify(0, 4, 0))),
        Errno::EINVAL
    );
    assert_eq!(
        errno(mapper.ioctl(IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &mut notify(0, 2, 99))),
        Errno::EINVAL
    );
    assert_eq!(
        errno(mapper.ioctl(IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &mut notify(PAGE, 1, 0))),
        Errno::ENOENT
    );
    mapper.ioctl(IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &mut notify(5, 1, 0)).unwrap();
    export.write(5, &[1, 1]).unwrap();
    let addr = mapper.mmap(PAGE, RW, MAP_SHARED, 0).unwrap();
    mapper.munmap(addr, PAGE).unwrap();
    let mut bytes = [9; 2];
    export.read(5, &mut bytes).unwrap();
    assert_eq!(bytes, [0, 1]);

    let granter = open_gntalloc(&pair);
    assert_eq!(
        errno(granter.ioctl(IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &mut notify(0, 4, 0))),
        Errno::ENOENT
    );
    granter.ioctl(IOCTL_GNTALLOC_ALLOC_GREF, &mut alloc_arg(BOB, 1, 1).0).unwrap();
    assert_eq!(
        errno(granter.ioctl(IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &mut notify(0, 4, 0))),
        Errno::EINVAL
    );
    granter.ioctl(IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &mut notify(4095, 1, 0)).unwrap();
}

#[test]
fn a_page_that_xen_will_not_unmap_is_inaccessible_and_tried_again() {
    let pair = Pair::new();
    let (export, refs) = share(&pair, 2);
    let mut mapper = open_gntdev(&pair);
    mapper.ioctl(IOCTL_GNTDEV_MAP_GRANT_REF, &mut map_arg(&refs).0).unwrap();
    let addr = mapper.mmap(2 * PAGE, RW, MAP_SHARED, 0).unwrap();
    let fault = fake_xen::Fault::Status { at: 1, status: GrantStatus::GENERAL_ERROR };
    pair.bob.xen.inject(drivers::Call::GnttabUnmap, fault);
    assert_eq!(errno(mapper.munmap(addr, 2 * PAGE)), Errno::EINVAL);
    assert_eq!(errno(mapper.read(addr + 4096, &mut [0])), Errno::EFAULT);
    assert_eq!(errno(mapper.munmap(addr, 2 * PAGE)), Errno::EINVAL, "no mapping any more");
    // The next call that needs the index retries.
    mapper.ioctl(IOCTL_GNTDEV_UNMAP_GRANT_REF, &mut run_arg(0, 2).0).unwrap();
    assert!(export.is_idle());
}

#[test]
fn the_commands_are_those_of_linux_headers() {
    assert_eq!(IOCTL_GNTDEV_MAP_GRANT_REF, 24 << 16 | 0x4700);
    assert_eq!(IOCTL_GNTDEV_SET_UNMAP_NOTIFY, 16 << 16 | 0x4707);
    assert_eq!(size_of::<GntdevGrantCopySegment>(), 24);
}
