// SPDX-License-Identifier: MIT OR Apache-2.0
//! What FakeXen panics on when a guest changes its size: bugs that a real Xen would let pass, and
//! that would only show much later.
#![expect(unsafe_code, reason = "breaks the promises of the seam, to be found out")]

use std::sync::atomic::Ordering;

use drivers::memory::{Memory, Page};
use drivers::{GrantRef, Hypervisor};
use fake_xen::{Config, Guest, World};
use xen_sys::grant_table::Gtf;

fn guest() -> Guest {
    World::new().guest(1, Config::default())
}

fn page(guest: &Guest) -> Page {
    let page = guest.xen.alloc_page().expect("a page");
    // SAFETY: the page's own address.
    unsafe { guest.xen.zero_page(page.addr()) };
    page
}

fn give_back(guest: &Guest, gfn: u64) {
    // SAFETY: FakeXen checks everything and panics on misuse, which is what the test is about.
    let _ = unsafe { guest.xen.decrease_reservation(&[gfn]) };
}

fn detach(guest: &Guest, page: Page) -> u64 {
    let gfn = page.gfn();
    // SAFETY: as in `give_back`.
    let _vacancy = unsafe { guest.xen.detach_page(page) }.expect("unmapped");
    gfn
}

/// Writes a grant entry by hand that grants a frame.
fn grant(guest: &Guest, gfn: u64) {
    let entry = guest.xen.grant_entry(GrantRef(20));
    entry.frame.store(gfn as u32, Ordering::SeqCst);
    entry.flags.store(Gtf::PERMIT_ACCESS.bits(), Ordering::SeqCst);
}

#[test]
#[should_panic(expected = "live grant entries name")]
fn a_granted_page_is_not_unmapped() {
    let guest = guest();
    let page = page(&guest);
    grant(&guest, page.gfn());
    detach(&guest, page);
}

#[test]
#[should_panic(expected = "gave back a frame that is granted")]
fn a_granted_frame_is_not_given_back() {
    let guest = guest();
    let gfn = detach(&guest, page(&guest));
    grant(&guest, gfn);
    give_back(&guest, gfn);
}

#[test]
#[should_panic(expected = "which is mapped")]
fn a_mapped_page_is_not_given_back() {
    let guest = guest();
    give_back(&guest, page(&guest).gfn());
}

#[test]
#[should_panic(expected = "a frame of its own")]
fn a_frame_is_not_given_back_twice() {
    let guest = guest();
    let gfn = detach(&guest, page(&guest));
    give_back(&guest, gfn);
    give_back(&guest, gfn);
}

#[test]
#[should_panic(expected = "gave back a dirty page")]
fn a_page_is_given_back_only_zeroed() {
    let guest = guest();
    let page = page(&guest);
    // SAFETY: the page's own address.
    unsafe { guest.xen.write(page.addr(), b"secret") };
    let gfn = detach(&guest, page);
    give_back(&guest, gfn);
}
