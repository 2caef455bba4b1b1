// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stand-in for the bare-metal layer on the host: just enough for an application to compile there.
//!
//! Text goes to standard output, and ending the domain panics. Everything else takes a `Guest` or a
//! `Xen`, and neither can exist on the host.
#![expect(unsafe_code, reason = "the seam has unsafe methods")]

use core::convert::Infallible;
use core::ops::Range;

use drivers::Errno;
use drivers::memory::{FrameCount, HostAddr, Memory, Page, PageSlot, Vacancy};
use xen_sys::grant_table::GrantEntryV1;

use crate::{Guest, Xen};

/// The `main` of a program that boots on Xen.
pub fn refuse<F: Future<Output = ()>>(_: impl FnOnce(Guest) -> F) -> i32 {
    std::eprintln!("this program boots as a guest of Xen: build it for x86_64-unknown-none");
    1
}

fn no_guest() -> ! {
    unreachable!("on the host there is no `Guest`")
}

pub fn mode() -> crate::Mode {
    no_guest()
}

pub mod clock {
    pub fn now() -> u64 {
        super::no_guest()
    }

    pub async fn sleep_until(_: u64) {
        super::no_guest()
    }

    pub fn cpu_time() -> u64 {
        super::no_guest()
    }

    pub fn wall_clock() -> u64 {
        super::no_guest()
    }
}

pub mod console {
    use std::io::Write;

    /// Prints on standard output.
    pub fn print(text: core::fmt::Arguments) {
        let mut out = std::io::stdout();
        // A reader that has gone away is no reason to fail.
        let _ = out.write_fmt(text).and_then(|()| out.flush());
    }
}

pub mod executor {
    use super::{Errno, Infallible};
    use crate::future::BoxedFuture;

    #[derive(Clone, Copy)]
    pub struct Tasks(Infallible);

    impl Tasks {
        pub fn spawn(self, _: BoxedFuture) -> Result<(), Errno> {
            match self.0 {}
        }
    }
}

pub mod fault {
    pub fn write_null() {}
    pub fn write_text() {}
    pub fn write_rodata() {}
    pub fn execute_data() {}
    pub fn overflow_stack() {}
}

pub mod heap {
    pub fn usage() -> (usize, usize) {
        super::no_guest()
    }
}

pub mod memory {
    pub fn frames() -> impl Iterator<Item = Option<usize>> {
        core::iter::empty()
    }

    pub mod stack {
        pub fn high_water() -> usize {
            crate::host::no_guest()
        }
    }
}

pub mod power {
    pub fn shutdown(reason: xen_sys::sched::ShutdownReason) -> ! {
        panic!("the guest ended: {reason:?}")
    }
}

// SAFETY: no method ever runs.
unsafe impl Memory for Xen {
    fn alloc_page(&self) -> Option<Page> {
        match self.0 {}
    }

    unsafe fn free_page(&self, _: Page) {
        match self.0 {}
    }

    unsafe fn detach_page(&self, _: Page) -> Result<Vacancy, (Page, Errno)> {
        match self.0 {}
    }

    unsafe fn attach_page(&self, _: Vacancy, _: u64) -> Result<Page, (Vacancy, Errno)> {
        match self.0 {}
    }

    fn extend(&self) -> Option<Vacancy> {
        match self.0 {}
    }

    fn reserve_slot(&self, _: u32) -> Option<PageSlot> {
        match self.0 {}
    }

    fn prepare_slot(&self, _: &PageSlot, _: Range<u32>) -> Result<(), Errno> {
        match self.0 {}
    }

    fn is_translated(&self) -> bool {
        match self.0 {}
    }

    fn host_addr(&self, _: &PageSlot, _: u32) -> HostAddr {
        match self.0 {}
    }

    unsafe fn release_slot(&self, _: PageSlot) {
        match self.0 {}
    }

    unsafe fn map_grant_frames(&self, _: u32, _: &[u64]) -> Result<(), Errno> {
        match self.0 {}
    }

    unsafe fn grant_entries(&self) -> &[GrantEntryV1] {
        match self.0 {}
    }

    fn frames(&self) -> FrameCount {
        match self.0 {}
    }

    unsafe fn read(&self, _: usize, _: &mut [u8]) {
        match self.0 {}
    }

    unsafe fn write(&self, _: usize, _: &[u8]) {
        match self.0 {}
    }

    unsafe fn load_u32(&self, _: usize) -> u32 {
        match self.0 {}
    }

    unsafe fn store_u32(&self, _: usize, _: u32) {
        match self.0 {}
    }

    unsafe fn fetch_or_u8(&self, _: usize, _: u8) -> u8 {
        match self.0 {}
    }

    unsafe fn fetch_and_u8(&self, _: usize, _: u8) -> u8 {
        match self.0 {}
    }

    unsafe fn zero_page(&self, _: usize) {
        match self.0 {}
    }

    unsafe fn probe_write(&self, _: usize, _: u8) -> bool {
        match self.0 {}
    }
}
