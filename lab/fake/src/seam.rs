// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seam on FakeXen: each method looks up the domain in its world. Injected faults come first.
//!
//! The modules beside this one model the calls; this file only dispatches.
#![expect(unsafe_code, reason = "implements the methods of the seam that name addresses")]

use core::future::Future;
use core::ops::Range;
use core::sync::atomic::Ordering;

use xen_sys::event_channel::{
    EvtchnAllocUnbound, EvtchnBindInterdomain, EvtchnBindVirq, EvtchnClose, EvtchnSend,
    EvtchnStatus,
};
use xen_sys::grant_table::{
    GnttabCopy, GnttabGetVersion, GnttabMapGrantRef, GnttabQuerySize, GnttabSetupTable,
    GnttabUnmapGrantRef, GrantEntryV1,
};
use xen_sys::xen::DOMID_SELF;

use super::{FakeXen, Mode, run};
use drivers::memory::{FrameCount, HostAddr, Memory, Moment, PAGE_SIZE, Page, PageSlot, Vacancy};
use drivers::{Call, Counters, Errno, Hypervisor};

/// The most pages that one `HostAddr` covers.
const RUN: u32 = 4;

// SAFETY: each call is carried out on FakeXen's own tables and writes only to its arguments.
unsafe impl Hypervisor for FakeXen {
    fn counters(&self) -> &Counters {
        &self.pages.counters
    }

    fn gnttab_query_size(&self, op: &mut GnttabQuerySize) -> Result<(), Errno> {
        self.call(Call::GnttabQuerySize, |state, batch| {
            batch.single(|| state.query_size(self.domid, op))
        })
    }

    fn gnttab_get_version(&self, op: &mut GnttabGetVersion) -> Result<(), Errno> {
        self.call(Call::GnttabGetVersion, |state, batch| {
            assert_eq!(op.dom, DOMID_SELF, "a guest may ask about itself alone");
            batch.single(|| op.version = self.of(state).config.grant_version)
        })
    }

    fn gnttab_setup_table(
        &self,
        op: &mut GnttabSetupTable,
        frames: &mut [u64],
    ) -> Result<(), Errno> {
        if frames.len() < op.nr_frames as usize {
            return Err(Errno::EINVAL);
        }
        self.call(Call::GnttabSetupTable, |state, batch| {
            batch.single(|| state.setup_table(self.domid, op, frames))
        })
    }

    unsafe fn gnttab_map(&self, ops: &mut [GnttabMapGrantRef]) -> Result<(), Errno> {
        Counters::add(&self.pages.batched, ops.len() as u64);
        self.call(Call::GnttabMap, |state, batch| {
            batch.each(
                ops,
                |op| op.status = state.map(self.domid, op),
                |op, status| op.status = status,
            )
        })
    }

    unsafe fn gnttab_unmap(&self, ops: &mut [GnttabUnmapGrantRef]) -> Result<(), Errno> {
        Counters::add(&self.pages.batched, ops.len() as u64);
        self.call(Call::GnttabUnmap, |state, batch| {
            batch.each(
                ops,
                |op| op.status = state.unmap(self.domid, op),
                |op, status| op.status = status,
            )
        })
    }

    unsafe fn gnttab_copy(&self, ops: &mut [GnttabCopy]) -> Result<(), Errno> {
        self.call(Call::GnttabCopy, |state, batch| {
            batch.each(
                ops,
                |op| op.status = state.copy(self.domid, op),
                |op, status| op.status = status,
            )
        })
    }

    unsafe fn decrease_reservation(&self, gfns: &[u64]) -> Result<usize, Errno> {
        self.call(Call::MemoryOp, |state, batch| self.of(state).decrease(gfns, batch))
    }

    fn populate_physmap(&self, frames: &mut [u64]) -> Result<usize, Errno> {
        self.call(Call::MemoryOp, |state, batch| self.of(state).populate(frames, batch))
    }

    fn evtchn_alloc_unbound(&self, op: &mut EvtchnAllocUnbound) -> Result<(), Errno> {
        self.call(Call::EvtchnAllocUnbound, |state, batch| {
            assert_eq!(op.dom, DOMID_SELF, "a guest may make a port for itself alone");
            batch.single(|| ())?;
            op.port = state.alloc_unbound(self.domid, op.remote_dom)?;
            Ok(())
        })
    }

    fn evtchn_bind_interdomain(&self, op: &mut EvtchnBindInterdomain) -> Result<(), Errno> {
        self.call(Call::EvtchnBindInterdomain, |state, batch| {
            batch.single(|| ())?;
            op.local_port = state.bind_interdomain(self.domid, op.remote_dom, op.remote_port)?;
            Ok(())
        })
    }

    fn evtchn_bind_virq(&self, op: &mut EvtchnBindVirq) -> Result<(), Errno> {
        self.call(Call::EvtchnBindVirq, |state, batch| {
            batch.single(|| ())?;
            op.port = state.bind_virq(self.domid, op.virq)?;
            Ok(())
        })
    }

    fn evtchn_close(&self, op: EvtchnClose) -> Result<(), Errno> {
        self.call(Call::EvtchnClose, |state, batch| {
            batch.single(|| ())?;
            state.close(self.domid, op.port)
        })
    }

    fn evtchn_send(&self, op: EvtchnSend) -> Result<(), Errno> {
        self.call(Call::EvtchnSend, |state, batch| {
            let mut sent = Ok(());
            batch.single(|| sent = state.send(self.domid, op.port))?;
            sent
        })
    }

    fn evtchn_status(&self, op: &mut EvtchnStatus) -> Result<(), Errno> {
        self.call(Call::EvtchnStatus, |state, batch| {
            batch.single(|| ())?;
            state.port_status(self.domid, op)
        })
    }

    fn console_io_write(&self, bytes: &[u8]) -> Result<(), Errno> {
        self.call(Call::ConsoleWrite, |state, batch| {
            batch.single(|| ())?;
            self.of(state).console_io_write(bytes)
        })
    }

    fn console_io_read(&self, bytes: &mut [u8]) -> Result<usize, Errno> {
        self.call(Call::ConsoleRead, |state, batch| {
            batch.single(|| ())?;
            self.of(state).console_io_read(bytes)
        })
    }

    fn yield_cpu(&self) {
        self.pages.counters.count(Call::SchedYield);
        // What dom0 would do meanwhile: its daemons serve their rings.
        let state = &mut *self.world.lock();
        state.now += run::YIELD_NS;
        state.xenstored();
        self.of(state).console_daemon();
    }

    fn now(&self) -> u64 {
        self.world.now()
    }

    fn sleep_until(&self, deadline: u64) -> impl Future<Output = ()> {
        run::Sleep::new(self.world.clone(), deadline)
    }
}

// SAFETY: pages and slots are FakeXen's own numbers, handed out once. Every access by such a number
// is looked up, and panics where nothing is mapped.
unsafe impl Memory for FakeXen {
    fn alloc_page(&self) -> Option<Page> {
        self.of(&mut *self.alive()?).alloc_page()
    }

    unsafe fn free_page(&self, page: Page) {
        if let Some(mut state) = self.alive() {
            state.free_page(self.domid, page);
        }
    }

    unsafe fn detach_page(&self, page: Page) -> Result<Vacancy, (Page, Errno)> {
        match self.alive() {
            Some(mut state) => self.of(&mut state).detach(page),
            None => Err((page, Errno::ESRCH)),
        }
    }

    unsafe fn attach_page(&self, vacancy: Vacancy, gfn: u64) -> Result<Page, (Vacancy, Errno)> {
        match self.alive() {
            Some(mut state) => self.of(&mut state).attach(vacancy, gfn),
            None => Err((vacancy, Errno::ESRCH)),
        }
    }

    fn extend(&self) -> Option<Vacancy> {
        self.of(&mut *self.alive()?).extend()
    }

    fn reserve_slot(&self, pages: u32) -> Option<PageSlot> {
        self.of(&mut *self.alive()?).reserve_slot(pages)
    }

    fn prepare_slot(&self, slot: &PageSlot, pages: Range<u32>) -> Result<(), Errno> {
        self.of(&mut self.world.lock()).prepare_slot(slot, pages)
    }

    fn is_translated(&self) -> bool {
        self.pages.mode == Mode::Pvh
    }

    fn host_addr(&self, slot: &PageSlot, page: u32) -> HostAddr {
        let addr = slot.addr() + page as usize * PAGE_SIZE;
        let host = self.of(&mut self.world.lock()).host_addr(addr);
        let pages = slot.pages().saturating_sub(page).min(RUN - page % RUN).min(host.pages);
        HostAddr { pages, ..host }
    }

    fn restores(&self) -> u32 {
        self.of(&mut self.world.lock()).restores
    }

    unsafe fn release_slot(&self, slot: PageSlot) {
        if let Some(mut state) = self.alive() {
            self.of(&mut state).release_slot(slot);
        }
    }

    unsafe fn map_grant_frames(&self, first: u32, frames: &[u64]) -> Result<(), Errno> {
        let mapped = &self.pages.grant_frames_mapped;
        assert_eq!(first, mapped.load(Ordering::SeqCst), "grant frames mapped out of order");
        let refused = self.of(&mut self.world.lock()).refuse_grant_frames(first, frames);
        // Frames before the refused one may be mapped, but don't count and will be mapped again.
        refused.map_or(Ok(()), Err)?;
        mapped.fetch_add(frames.len() as u32, Ordering::SeqCst);
        Ok(())
    }

    unsafe fn grant_entries(&self) -> &[GrantEntryV1] {
        Counters::add(&self.pages.entry_looks, 1);
        self.pages.interrupts.run_at(self.entry_looks());
        self.pages.grant_entries()
    }

    fn frames(&self) -> FrameCount {
        self.of(&mut self.world.lock()).frames()
    }

    fn observe(&self, _: Moment) {
        self.moment();
    }

    unsafe fn read(&self, src: usize, dst: &mut [u8]) {
        self.access(|| self.of(&mut self.world.lock()).read(src, dst));
    }

    unsafe fn write(&self, dst: usize, src: &[u8]) {
        self.access(|| {
            if let Some(mut state) = self.alive() {
                self.of(&mut state).write(dst, src);
            }
        });
    }

    unsafe fn load_u32(&self, addr: usize) -> u32 {
        self.access(|| self.of(&mut self.world.lock()).load_u32(addr))
    }

    unsafe fn store_u32(&self, addr: usize, value: u32) {
        self.access(|| self.of(&mut self.world.lock()).store_u32(addr, value));
    }

    unsafe fn fetch_or_u8(&self, addr: usize, bits: u8) -> u8 {
        self.access(|| self.world.lock().domain(self.domid).change_u8(addr, |byte| byte | bits))
    }

    unsafe fn fetch_and_u8(&self, addr: usize, bits: u8) -> u8 {
        self.access(|| self.world.lock().domain(self.domid).change_u8(addr, |byte| byte & bits))
    }

    unsafe fn zero_page(&self, addr: usize) {
        self.access(|| {
            if let Some(mut state) = self.alive() {
                self.of(&mut state).write(addr, &[0; PAGE_SIZE]);
            }
        });
    }

    unsafe fn probe_write(&self, addr: usize, value: u8) -> bool {
        self.access(|| self.of(&mut self.world.lock()).probe_write(addr, value))
    }
}

impl FakeXen {
    /// Accesses bytes that others may write. Nothing is locked at the moments before and after it.
    fn access<R>(&self, access: impl FnOnce() -> R) -> R {
        self.observe(Moment::Before);
        let result = access();
        self.observe(Moment::After);
        result
    }
}
