// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last step of the boot: the services, the executor, the application.
#![expect(
    unsafe_code,
    reason = "the boot is a promise, and the application is found by its symbol"
)]

use core::ptr;

use drivers::{Boot, Errno, Limits, Services, SharedPage, XenstoreDevice};
use embassy_futures::yield_now;
use spin::Once;
use xen_sys::io::xs_wire::XenstoreDomainInterface;
use xen_sys::xen::SharedInfo;

use super::boot::must;
use super::interface::{Ring, interface};
use super::memory::layout;
use super::{console, executor};
use crate::future::BoxedFuture;
use crate::{Guest, Spawner, Xen, power, text};

/// Global, for the crash path, which has nobody to pass it in.
static SERVICES: Once<Services<Xen>> = Once::new();

unsafe extern "Rust" {
    /// The application, defined by [`crate::entry!`].
    safe fn grantkit_main(guest: Guest) -> Result<BoxedFuture, Errno>;
}

/// Brings the services up and runs the application.
pub fn run(shared_info: &'static SharedInfo) -> ! {
    // SAFETY: mapped for good.
    let shared_info = unsafe { SharedPage::new(Xen::HERE, shared_info) };
    // SAFETY: the boot gets here once, and has neither granted nor mapped anything so far.
    let boot = unsafe { Boot::new(Xen::HERE, shared_info, console::device(), xenstore()) };
    let services = must("services", Services::bring_up(boot, Limits::default()));
    console::hand_over(services.console.clone());
    SERVICES.call_once(|| services.clone());
    power::on_crash_of_any_guest(|| SERVICES.get().into_iter().for_each(Services::last_words));
    executor::run(&services.events, |tasks| {
        let spawner = Spawner(tasks);
        let upkeep = services.clone();
        spawner.spawn(async move { upkeep.upkeep().await })?;
        let line = text::lossy(layout::command_line())?;
        let application = grantkit_main(Guest::new(services.clone(), spawner, line))?;
        spawner.spawn(async move {
            // The upkeep starts first, so that what it holds is in use before the application
            // looks.
            yield_now().await;
            application.await;
            power::poweroff()
        })
    })
}

/// The xenstore ring; there is none in dom0's place.
fn xenstore() -> Option<XenstoreDevice<Xen>> {
    let Ring { page, port } = must("xenstore", interface().xenstore())?;
    let page = ptr::with_exposed_provenance::<XenstoreDomainInterface>(page);
    // SAFETY: the builder's page; all its fields are atomic.
    let page = unsafe { &*page };
    // SAFETY: mapped for good.
    let ring = unsafe { SharedPage::new(Xen::HERE, page) };
    Some(XenstoreDevice { ring, port })
}
