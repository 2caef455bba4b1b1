// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grant table grows or fails to: at whatever frame and for whatever reason, existing grants
//! stay, nothing leaks, and the next try works as the first would have.

mod common;

use drivers::gntdev::ReadWrite;
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, Errno, Error, GrantStatus, Limits, Pages, Services};
use fake_xen::{Config, Fault, Guest, Pair, World};

/// The grants that the table's first frame has room for.
const FRAME: u32 = 504;
/// Enough more pages to need two more frames.
const MORE: u32 = 600;

fn pair() -> Pair {
    let alice = Config { pages: FRAME + MORE, max_grant_frames: 4, ..Config::default() };
    let pair = Pair::of(alice, Config { max_maptrack_frames: 16, ..Config::default() });
    pair.alice.gntalloc.set_limit(4096);
    pair
}

/// What refuses growth from one frame to three, and the resulting error.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Frame(u32, Errno),
    Call(Fault, Errno),
}

impl Refusal {
    fn all() -> impl Iterator<Item = Self> {
        let errnos = [Errno::ENOMEM, Errno::EINVAL, Errno::EPERM];
        let frames = (1..3).flat_map(move |number| errnos.map(|errno| Self::Frame(number, errno)));
        let calls = [Errno::ENOMEM, Errno::EFAULT, Errno::ENOSYS];
        let calls = calls.map(|errno| Self::Call(Fault::Hypercall { at: 0, errno }, errno));
        let status = Fault::Status { at: 0, status: GrantStatus::GENERAL_ERROR };
        frames.chain(calls).chain([Self::Call(status, Errno::ENOSPC)])
    }

    fn meets(self, guest: &Guest) {
        match self {
            Self::Frame(number, errno) => guest.xen.refuse_grant_frame(number, errno),
            Self::Call(fault, _) => guest.xen.inject(Call::GnttabSetupTable, fault),
        }
    }

    fn errno(self) -> Errno {
        let (Self::Frame(_, errno) | Self::Call(_, errno)) = self;
        errno
    }
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn a_growth_that_is_refused_changes_nothing_and_the_next_one_is_done() {
    for refusal in Refusal::all() {
        let pair = pair();
        let before = pair.alice.share(&pair.bob, FRAME);
        let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&before));
        let free = pair.alice.system.frames().free;
        for _ in 0..3 {
            refusal.meets(&pair.alice);
            let device = pair.alice.gntalloc.open();
            let refused = device.alloc(pair.bob.domid, Pages(MORE), Access::ReadWrite);
            assert_eq!(refused.expect_err("refused").errno(), refusal.errno(), "{refusal:?}");
            assert_eq!(pair.alice.gntalloc.in_use(), FRAME, "{refusal:?}");
            assert_eq!(pair.alice.system.frames().free, free, "{refusal:?}");
        }
        mapping.write(0, b"still there").unwrap();
        let mut bytes = [0; 11];
        before.read(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"still there");

        let after = pair.alice.share(&pair.bob, MORE);
        let all = pair.bob.map::<ReadWrite>(&pair.alice.offer(&after));
        for page in [0, FRAME, MORE - 1] {
            let at = page as usize * 4096;
            all.write(at, &page.to_le_bytes()).unwrap();
            let mut bytes = [0; 4];
            after.read(at, &mut bytes).unwrap();
            assert_eq!(u32::from_le_bytes(bytes), page, "{refusal:?}");
        }
        drop((mapping, all, before, after));
        pair.assert_clean();
    }
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of pages take long")]
fn pages_that_fit_in_the_table_are_granted_while_growth_is_refused() {
    for refusal in Refusal::all() {
        let pair = pair();
        let most = pair.alice.share(&pair.bob, FRAME - 1);
        refusal.meets(&pair.alice);
        let device = pair.alice.gntalloc.open();
        device.alloc(pair.bob.domid, Pages(MORE), Access::ReadWrite).expect_err("refused");
        let last = pair.alice.share(&pair.bob, 1);
        let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&last));
        mapping.write(0, &[1]).unwrap();
        drop((mapping, most, last));
        assert_eq!(pair.alice.gntalloc.in_use(), 0, "{refusal:?}");
        pair.assert_clean();
    }
}

#[test]
fn a_guest_whose_first_frame_cannot_be_mapped_says_so_and_stops() {
    let world = World::new();
    let xen = world.domain(1, Config::default());
    xen.refuse_grant_frame(0, Errno::ENOMEM);
    let error = Services::bring_up(xen.boot(), Limits::default()).expect_err("no guest without");
    assert_eq!(error.step, "grant table");
    assert!(matches!(error.error, Error::Local(Errno::ENOMEM, _)), "{error}");
    xen.assert_clean();
}
