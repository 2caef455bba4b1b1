//! The seam on metal: [`drivers::Hypervisor`] and [`drivers::memory::Memory`] for this domain.
//!
//! Nothing is decided here: a method is one line over `hypercall.rs` or `memory/`.
#![expect(
    unsafe_code,
    reason = "the seam has unsafe methods, and the grant table lies at an address"
)]

use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use drivers::memory::{FrameCount, Memory, Page, PageSlot};
use drivers::{ConsoleDevice, Counters, Errno, Hypervisor, PortNumber};
use embassy_time::{Instant, Timer};
use xen_sys::event_channel::{
    EvtchnAllocUnbound, EvtchnBindInterdomain, EvtchnBindVirq, EvtchnClose, EvtchnSend,
    EvtchnStatus,
};
use xen_sys::grant_table::{
    GnttabCopy, GnttabGetVersion, GnttabMapGrantRef, GnttabQuerySize, GnttabSetupTable,
    GnttabUnmapGrantRef, GrantEntryV1,
};
use xen_sys::io::xs_wire::XenstoreDomainInterface;
use xen_sys::xen::{SharedInfo, Sif};

use crate::memory::frames::{Frame, POOL};
use crate::memory::{Mfn, PAGE_SIZE, access, layout, translate, window};
use crate::{clock, console, hypercall, shared_info};

/// The Xen below this guest, and the guest's own memory.
///
/// Zero-sized: there is one of each. An application gets it with its `Guest`, after the boot, so
/// having one tells that the boot is done.
#[derive(Clone, Copy, Debug)]
pub struct Xen(());

impl Xen {
    /// For the end of the boot.
    pub(crate) const fn booted() -> Self {
        Self(())
    }
}

impl Hypervisor for Xen {
    fn counters(&self) -> &Counters {
        &hypercall::COUNTERS
    }

    fn gnttab_query_size(&self, op: &mut GnttabQuerySize) -> Result<(), Errno> {
        hypercall::gnttab_query_size(op)
    }

    fn gnttab_get_version(&self, op: &mut GnttabGetVersion) -> Result<(), Errno> {
        hypercall::gnttab_get_version(op)
    }

    fn gnttab_setup_table(
        &self,
        op: &mut GnttabSetupTable,
        frames: &mut [u64],
    ) -> Result<(), Errno> {
        hypercall::gnttab_setup_table(op, frames)
    }

    unsafe fn gnttab_map(&self, ops: &mut [GnttabMapGrantRef]) -> Result<(), Errno> {
        // SAFETY: the caller's promise is the same.
        unsafe { hypercall::gnttab_map(ops) }
    }

    unsafe fn gnttab_unmap(&self, ops: &mut [GnttabUnmapGrantRef]) -> Result<(), Errno> {
        // SAFETY: the caller's promise is the same.
        unsafe { hypercall::gnttab_unmap(ops) }
    }

    unsafe fn gnttab_copy(&self, ops: &mut [GnttabCopy]) -> Result<(), Errno> {
        // SAFETY: the caller's promise is the same.
        unsafe { hypercall::gnttab_copy(ops) }
    }

    fn evtchn_alloc_unbound(&self, op: &mut EvtchnAllocUnbound) -> Result<(), Errno> {
        hypercall::evtchn_alloc_unbound(op)
    }

    fn evtchn_bind_interdomain(&self, op: &mut EvtchnBindInterdomain) -> Result<(), Errno> {
        hypercall::evtchn_bind_interdomain(op)
    }

    fn evtchn_bind_virq(&self, op: &mut EvtchnBindVirq) -> Result<(), Errno> {
        hypercall::evtchn_bind_virq(op)
    }

    fn evtchn_close(&self, mut op: EvtchnClose) -> Result<(), Errno> {
        hypercall::evtchn_close(&mut op)
    }

    fn evtchn_send(&self, mut op: EvtchnSend) -> Result<(), Errno> {
        hypercall::evtchn_send(&mut op)
    }

    fn evtchn_status(&self, op: &mut EvtchnStatus) -> Result<(), Errno> {
        hypercall::evtchn_status(op)
    }

    fn shared_info(&self) -> &SharedInfo {
        shared_info::get().expect("the boot maps it")
    }

    fn console_device(&self) -> ConsoleDevice<'_> {
        match console::device() {
            console::Device::Ring(ring) => ConsoleDevice::Ring(ring.page, ring.port),
            console::Device::Hypervisor => ConsoleDevice::Hypervisor,
        }
    }

    fn xenstore_device(&self) -> Option<(&XenstoreDomainInterface, PortNumber)> {
        let start_info = layout::start_info();
        if start_info.flags.contains(Sif::INITDOMAIN) {
            return None;
        }
        let page = translate::builders_page(Mfn(start_info.store_mfn))?;
        let page = ptr::with_exposed_provenance::<XenstoreDomainInterface>(page);
        // SAFETY: the builder's page, mapped for good; all its fields are atomic.
        Some((unsafe { &*page }, PortNumber(start_info.store_evtchn)))
    }

    fn console_io_write(&self, bytes: &[u8]) -> Result<(), Errno> {
        hypercall::console_io_write(bytes)
    }

    fn console_io_read(&self, bytes: &mut [u8]) -> Result<usize, Errno> {
        hypercall::console_io_read(bytes)
    }

    fn yield_cpu(&self) {
        hypercall::sched_yield();
    }

    fn now(&self) -> u64 {
        clock::now()
    }

    fn sleep_until(&self, deadline: u64) -> impl Future<Output = ()> {
        // A tick of the time driver is a nanosecond of system time.
        Timer::at(Instant::from_ticks(deadline))
    }
}

/// Frames of the grant table that are mapped.
static GRANT_FRAMES: AtomicUsize = AtomicUsize::new(0);

impl Memory for Xen {
    fn alloc_page(&self) -> Option<Page> {
        let Frame { pfn, clean } = POOL.lock().take()?;
        let mfn = translate::mfn_of(pfn)?;
        Some(Page::new(translate::address_of(pfn), mfn.0, clean))
    }

    fn free_page(&self, page: Page) {
        let frame = Frame { pfn: translate::frame_at(page.addr()), clean: page.is_clean() };
        // SAFETY: a `Page` owns its frame, which came from the pool, and no grant names it.
        unsafe { POOL.lock().give_back(frame) };
    }

    fn reserve_slot(&self, pages: u32) -> Option<PageSlot> {
        window::reserve(pages).map(|address| PageSlot::new(address, pages))
    }

    fn prepare_slot(&self, slot: &PageSlot, pages: u32) -> Result<(), Errno> {
        window::prepare(slot.addr(), pages.min(slot.pages()))
    }

    fn release_slot(&self, slot: PageSlot) {
        window::release(slot.addr(), slot.pages());
    }

    fn map_grant_frames(&self, first: u32, frames: &[u64]) -> Result<(), Errno> {
        window::map_grant_frames(first, frames)?;
        GRANT_FRAMES.fetch_max(first as usize + frames.len(), Ordering::Relaxed);
        Ok(())
    }

    fn grant_entries(&self) -> &[GrantEntryV1] {
        const PER_FRAME: usize = PAGE_SIZE / size_of::<GrantEntryV1>();
        let table = ptr::with_exposed_provenance(layout::GRANT_TABLE.start);
        let entries = GRANT_FRAMES.load(Ordering::Relaxed) * PER_FRAME;
        // SAFETY: so many frames of the table are mapped, for good; all fields are atomic.
        unsafe { slice::from_raw_parts(table, entries) }
    }

    fn frames(&self) -> FrameCount {
        let pool = POOL.lock();
        FrameCount { total: pool.total() as u32, free: pool.free() as u32 }
    }

    unsafe fn read(&self, src: usize, dst: &mut [u8]) {
        // SAFETY: `src` is the caller's promise; `dst` is a slice, and not shared with anybody.
        unsafe { access::copy(dst.as_mut_ptr().expose_provenance(), src, dst.len()) };
    }

    unsafe fn write(&self, dst: usize, src: &[u8]) {
        // SAFETY: `dst` is the caller's promise; `src` is a slice.
        unsafe { access::copy(dst, src.as_ptr().expose_provenance(), src.len()) };
    }

    unsafe fn load_u32(&self, addr: usize) -> u32 {
        let word = ptr::with_exposed_provenance_mut(addr);
        // SAFETY: aligned and mapped, as the caller promises; whoever else uses it, as an atomic.
        unsafe { AtomicU32::from_ptr(word) }.load(Ordering::Acquire)
    }

    unsafe fn store_u32(&self, addr: usize, value: u32) {
        let word = ptr::with_exposed_provenance_mut(addr);
        // SAFETY: aligned and mapped, as the caller promises; whoever else uses it, as an atomic.
        unsafe { AtomicU32::from_ptr(word) }.store(value, Ordering::Release);
    }

    unsafe fn zero_page(&self, addr: usize) {
        // SAFETY: the caller's promise.
        unsafe { access::zero_page(addr) };
    }

    unsafe fn probe_write(&self, addr: usize, value: u8) -> bool {
        // SAFETY: the caller's promise.
        unsafe { access::probe_write(addr, value) }
    }
}
