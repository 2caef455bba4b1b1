// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes the calls on FakeXen: by three guests that come and go, or by one that grants to itself.

use alloc::vec::Vec;

use drivers::{Call, Errno, GrantStatus, Limits, Services};
use fake_xen::{Config, ConsoleKind, FakeXen, Mode, World};

use crate::{Fault, LoopBack, Met, Op, Room, Stage};

/// Guests that live at any time.
const GUESTS: usize = 3;
/// One frame of grant entries and one maptrack frame.
fn config() -> Config {
    Config { pages: 40, max_grant_frames: 1, max_maptrack_frames: 1, ..Config::default() }
}

/// The room that this configuration leaves, with the largest possible index space.
fn room() -> Room {
    let translated = config().mode == Mode::Pvh;
    Room { memory: 40, entries: 504, mappings: 255, indices: 1 << 18, translated }
}

/// Carries out `ops` in a new world with three guests that grant to each other.
///
/// The heap refuses requests only if [`fake_xen::heap::Heap`] is the program's allocator.
///
/// # Panics
/// If the services and the model differ.
pub fn run(ops: &[Op]) -> Met {
    crate::run(Three { world: World::new(), started: Vec::new() }, ops, |_| ())
}

/// Like [`run`], with one guest in dom0's place that grants to itself, as on a real Xen.
///
/// # Panics
/// If the services and the model differ.
pub fn run_alone(ops: &[Op]) -> Met {
    let guest = World::new().guest(0, Config { console: ConsoleKind::Hypervisor, ..config() });
    let room = Room { indices: LoopBack::<FakeXen>::INDICES, ..room() };
    let met = crate::run(LoopBack::new(&guest.services, room), ops, |_| ());
    guest.assert_clean();
    met
}

/// One world's domains, three of which are alive.
#[derive(Debug)]
struct Three {
    world: World,
    /// By domid.
    started: Vec<FakeXen>,
}

impl Stage for Three {
    type Xen = FakeXen;

    fn guests(&self) -> usize {
        GUESTS
    }

    fn room(&self) -> Room {
        room()
    }

    fn start(&mut self, limits: Limits) -> Services<FakeXen> {
        let fake_xen::Guest { xen, services } =
            self.world.guest_with(self.started.len() as u16, config(), limits);
        self.started.push(xen);
        services
    }

    fn destroy(&mut self, domid: u16) -> bool {
        self.world.destroy(domid);
        true
    }

    fn inject(&mut self, domid: u16, calls: u32, call: Call, fault: Fault) -> bool {
        let fault = match fault {
            Fault::Hypercall { at, errno } => fake_xen::Fault::Hypercall { at, errno },
            Fault::Status { at, status } => {
                fake_xen::Fault::Status { at, status: GrantStatus(status) }
            }
            Fault::Untouched { at } => fake_xen::Fault::Untouched { at },
        };
        self.started[usize::from(domid)].inject_after(calls, call, fault);
        true
    }

    fn deny(&mut self, domid: u16, call: Call, errno: Option<Errno>) -> bool {
        self.started[usize::from(domid)].deny(call, errno);
        true
    }

    fn lacking<R>(answered: u32, call: impl FnOnce() -> R) -> (R, bool) {
        fake_xen::heap::refuse(answered, call)
    }

    fn assert_clean(&self, services: &Services<FakeXen>) {
        self.started[usize::from(services.domid.get())].assert_clean();
    }
}
