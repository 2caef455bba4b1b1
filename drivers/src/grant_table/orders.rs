// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grant table's protocols while a peer maps, in every order that the memory model allows.

use core::sync::atomic::Ordering;

use xen_sys::grant_table::Gtf;

use super::{Entry, end_access, introduce};
use crate::words::Word;
#[cfg(not(miri))]
use crate::words::checked::Relaxed;
use crate::words::checked::rt::{self, Arc, AtomicU16, AtomicU32};
use crate::words::checked::{Byte, Checked};
use crate::{Access, DomId};

const PEER: u16 = 2;
const FRAME: u32 = 7;
const PERMIT: u16 = Gtf::PERMIT_ACCESS.bits();
const MARKS: u16 = Gtf::READING.bits() | Gtf::WRITING.bits();

fn introducing<H, W>(half: fn(AtomicU16) -> H, whole: fn(AtomicU32) -> W)
where
    H: Word<Value = u16> + Send + Sync + 'static,
    W: Word<Value = u32> + Send + Sync + 'static,
{
    rt::check(None, move || {
        let entry = Arc::new(Entry {
            flags: half(AtomicU16::new(0)),
            domid: half(AtomicU16::new(9)),
            frame: whole(AtomicU32::new(1)),
        });
        let theirs = entry.clone();
        let xen = rt::thread::spawn(move || {
            if theirs.flags.load(Ordering::Acquire) != 0 {
                assert_eq!(theirs.domid.load(Ordering::Relaxed), PEER, "another's entry");
                assert_eq!(theirs.frame.load(Ordering::Relaxed), FRAME, "another's entry");
            }
        });
        let peer = DomId::new(PEER).expect("an ordinary number");
        introduce(&entry, FRAME, peer, Access::ReadWrite);
        xen.join().unwrap();
    });
}

#[test]
fn xen_never_sees_a_half_written_entry() {
    introducing(Checked, Checked);
}

#[test]
#[cfg(not(miri))]
#[should_panic = "another's entry"]
fn without_ordering_an_entry_would_be_seen_half_written() {
    introducing(Relaxed, Checked);
}

/// A peer maps, writes and unmaps as Xen lets it, while we end the grant and use the page.
fn ending<H: Word<Value = u16> + Send + Sync + 'static>(half: fn(AtomicU16) -> H) {
    rt::check(None, move || {
        let flags = Arc::new(half(AtomicU16::new(PERMIT)));
        let page = Arc::new(Byte::new(0));
        let (marks, theirs) = (flags.clone(), page.clone());
        let peer = rt::thread::spawn(move || {
            let pin = |from| {
                marks.compare_exchange(from, from | MARKS, Ordering::AcqRel, Ordering::Acquire)
            };
            // Xen sets its marks by an exchange, and only in an entry that permits access.
            if pin(PERMIT).is_ok() {
                theirs.set(1);
                marks.fetch_and(!MARKS, Ordering::Release);
            }
        });
        let ended = end_access(&*flags);
        if ended {
            assert!(page.get() <= 1, "ours alone from now on");
            page.set(2);
        }
        peer.join().unwrap();
        let now = flags.load(Ordering::Acquire);
        assert_eq!(now, if ended { 0 } else { PERMIT });
        // Once nobody maps the page any more, ending succeeds.
        assert!(ended || end_access(&*flags));
    });
}

#[test]
fn a_page_whose_grant_has_ended_is_ours_alone() {
    ending(Checked);
}

#[test]
#[cfg(not(miri))]
#[should_panic = "Causality violation"]
fn without_ordering_a_page_is_reused_before_the_peers_writes_are_visible() {
    ending(Relaxed);
}
