// SPDX-License-Identifier: MIT OR Apache-2.0
//! A PVH guest on FakeXen: where grants are mapped, and what panics because a real Xen would let it
//! pass or crash the domain.
#![expect(unsafe_code, reason = "breaks the promises of the seam, to be found out")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use drivers::Hypervisor;
use drivers::gntalloc::Export;
use drivers::gntdev::{ReadOnly, ReadWrite};
use drivers::memory::{Memory, PageSlot};
use drivers::shared::{Shared, SharedMut};
use fake_xen::{Config, FakeXen, Guest, Mode, Pair};
use xen_sys::grant_table::{Gntmap, GnttabMapGrantRef, GnttabUnmapGrantRef, GrantStatus};

fn config(mode: Mode) -> Config {
    Config { mode, ..Config::default() }
}

/// Bob's address space for `PAGES` pages, and what Alice grants him.
struct Scene {
    pair: Pair,
    export: Export<FakeXen>,
    slot: PageSlot,
}

const PAGES: u32 = 2;

impl Scene {
    fn new() -> Self {
        let pair = Pair::of(config(Mode::Pvh), config(Mode::Pvh));
        let export = pair.alice.share(&pair.bob, PAGES);
        let slot = pair.bob.xen.reserve_slot(PAGES).expect("addresses");
        pair.bob.xen.prepare_slot(&slot, 0..PAGES).expect("addresses that can be used");
        Self { pair, export, slot }
    }

    fn xen(&self) -> &FakeXen {
        &self.pair.bob.xen
    }

    fn host_addr(&self, page: u32) -> u64 {
        self.xen().host_addr(&self.slot, page).addr
    }

    /// Maps one of Alice's pages at a guest-physical address.
    fn map(&self, page: usize, host_addr: u64, flags: Gntmap) -> GnttabMapGrantRef {
        let gref = self.export.grefs().nth(page).expect("a page of hers");
        let mut op = GnttabMapGrantRef {
            host_addr,
            flags,
            ref_: gref.0,
            dom: self.pair.alice.domid.get(),
            ..Default::default()
        };
        // SAFETY: FakeXen checks everything and panics on misuse, which is what the test is about.
        unsafe { self.xen().gnttab_map(std::slice::from_mut(&mut op)) }.expect("a hypercall");
        op
    }

    fn map_rw(&self, page: usize, host_addr: u64) -> GnttabMapGrantRef {
        self.map(page, host_addr, Gntmap::HOST_MAP)
    }

    fn unmap(&self, mapped: &GnttabMapGrantRef) {
        let (host_addr, handle) = (mapped.host_addr, mapped.handle);
        let mut op = GnttabUnmapGrantRef { host_addr, handle, ..Default::default() };
        // SAFETY: as in `map`.
        unsafe { self.xen().gnttab_unmap(std::slice::from_mut(&mut op)) }.expect("a hypercall");
        assert_eq!(op.status, GrantStatus::OKAY);
    }

    fn read(&self) -> [u8; 4] {
        let mut bytes = [0; 4];
        // SAFETY: as in `map`.
        unsafe { self.xen().read(self.slot.addr(), &mut bytes) };
        bytes
    }
}

/// Pairs in all combinations of modes.
fn pairs() -> impl Iterator<Item = Pair> {
    let kinds = [Mode::Pv, Mode::Pvh];
    let all = kinds.into_iter().flat_map(move |alice| kinds.map(|bob| (alice, bob)));
    all.map(|(alice, bob)| Pair::of(config(alice), config(bob)))
}

#[test]
fn guests_of_either_mode_share_pages_with_each_other() {
    for pair in pairs() {
        let export = pair.alice.share(&pair.bob, 3);
        let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
        let read_only = pair.bob.map::<ReadOnly>(&pair.alice.offer(&export));
        mapping.write(4094, b"across").unwrap();
        let mut bytes = [0; 6];
        export.read(4094, &mut bytes).unwrap();
        assert_eq!(&bytes, b"across");
        assert_eq!(read_only.probe_write(0, 1), Ok(false));
        drop((mapping, read_only, export));
        pair.assert_clean();
    }
}

#[test]
fn a_pvh_guest_knows_its_pages_by_its_own_numbers() {
    let pair = Pair::of(config(Mode::Pvh), config(Mode::Pvh));
    let gfn = |guest: &Guest| {
        let page = guest.xen.alloc_page().expect("a page");
        let gfn = page.gfn();
        // SAFETY: no entry names it.
        unsafe { guest.xen.free_page(page) };
        gfn
    };
    assert_eq!(gfn(&pair.alice), gfn(&pair.bob));
    assert!(gfn(&pair.alice) < 0x100 + u64::from(Config::default().pages));
}

#[test]
fn a_grant_is_mapped_at_a_guest_physical_address_and_seen_at_a_virtual_one() {
    let scene = Scene::new();
    assert_ne!(scene.host_addr(0), scene.slot.addr() as u64);
    scene.export.write(0, b"seen").unwrap();
    let mapped = scene.map_rw(0, scene.host_addr(0));
    assert_eq!((mapped.status, &scene.read()), (GrantStatus::OKAY, b"seen"));
    scene.unmap(&mapped);
    // Xen refuses beyond what was prepared.
    assert_eq!(scene.map_rw(0, scene.host_addr(PAGES)).status, GrantStatus::GENERAL_ERROR);
}

#[test]
#[should_panic(expected = "a hole: ")]
fn a_page_that_was_never_mapped_is_a_hole() {
    Scene::new().read();
}

#[test]
#[should_panic(expected = "a hole: ")]
fn an_unmapped_page_is_a_hole_again() {
    let scene = Scene::new();
    scene.unmap(&scene.map_rw(0, scene.host_addr(0)));
    scene.read();
}

#[test]
#[should_panic(expected = "a hole: ")]
fn a_hole_is_not_written_either() {
    let scene = Scene::new();
    // SAFETY: as in `Scene::map`.
    unsafe { scene.xen().write(scene.slot.addr(), &[1]) };
}

#[test]
#[should_panic(expected = "is read-only")]
fn a_read_only_grant_is_not_written() {
    let scene = Scene::new();
    scene.map(0, scene.host_addr(0), Gntmap::HOST_MAP | Gntmap::READONLY);
    // SAFETY: as in `Scene::map`.
    unsafe { scene.xen().write(scene.slot.addr(), &[1]) };
}

#[test]
#[should_panic(expected = "mapped over a mapping")]
fn a_mapping_is_not_mapped_over() {
    let scene = Scene::new();
    scene.map_rw(0, scene.host_addr(1));
    scene.map_rw(1, scene.host_addr(1));
}

#[test]
#[should_panic(expected = "maps a grant over its memory")]
fn a_grant_is_not_mapped_over_memory() {
    let scene = Scene::new();
    let page = scene.xen().alloc_page().expect("a page");
    scene.map_rw(0, page.gfn() * 4096);
}

#[test]
#[should_panic(expected = "which it did not reserve")]
fn a_grant_is_not_mapped_at_an_unreserved_address() {
    let scene = Scene::new();
    scene.map_rw(0, scene.host_addr(0) + 0x10_0000);
}

#[test]
fn a_flag_that_is_not_for_pvh_is_refused() {
    for flag in [Gntmap::DEVICE_MAP, Gntmap::APPLICATION_MAP, Gntmap::CONTAINS_PTE] {
        let scene = Scene::new();
        let mapped = AssertUnwindSafe(|| scene.map(0, scene.host_addr(0), Gntmap::HOST_MAP | flag));
        let said = catch_unwind(mapped).expect_err("found out");
        let said = said.downcast_ref::<String>().expect("words");
        assert!(said.contains("a flag not for PVH"), "{flag:?}: {said}");
    }
}

#[test]
#[should_panic(expected = "maps a page of its own")]
fn a_pvh_guest_does_not_map_what_it_grants_to_itself() {
    let scene = Scene::new();
    let bob = &scene.pair.bob;
    let own = bob.share(bob, 1);
    let gref = own.grefs().next().expect("a page");
    let mut op = GnttabMapGrantRef {
        host_addr: scene.host_addr(0),
        flags: Gntmap::HOST_MAP,
        ref_: gref.0,
        dom: bob.domid.get(),
        ..Default::default()
    };
    // SAFETY: as in `Scene::map`.
    let _ = unsafe { bob.xen.gnttab_map(std::slice::from_mut(&mut op)) };
}

#[test]
#[should_panic(expected = "still mapped")]
fn a_domid_is_not_reused_while_the_old_domains_pages_are_mapped() {
    let pair = Pair::new();
    let export = pair.alice.share(&pair.bob, 1);
    let _mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
    pair.world.destroy(1);
    pair.world.guest(1, Config::default());
}
