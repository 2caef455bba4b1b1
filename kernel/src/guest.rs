//! What an application gets from the kernel.
#![expect(unsafe_code, reason = "the application is found by its symbol")]

use drivers::events::Events;
use drivers::memory::{FrameCount, Memory};

use crate::executor::{self, BoxedFuture, Spawner};
use crate::memory::{layout, stack};
use crate::{Xen, heap, power};

/// The guest that runs: Xen and memory, event channels, a spawner, the command line.
#[derive(Clone, Debug)]
pub struct Guest {
    xen: Xen,
    events: Events<Xen>,
    spawner: Spawner,
}

/// What of the guest's memory is in use.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Frames.
    pub frames: FrameCount,
    /// Bytes of the heap in use.
    pub heap: usize,
    /// Bytes of the heap that are free.
    pub heap_free: usize,
    /// The deepest use of the stack so far, in bytes.
    pub stack: usize,
}

impl Guest {
    /// Xen and this guest's memory, as the services of `drivers` want it.
    pub fn xen(&self) -> Xen {
        self.xen
    }

    /// The event channels of this domain.
    pub fn events(&self) -> &Events<Xen> {
        &self.events
    }

    /// Starts other futures.
    pub fn spawner(&self) -> Spawner {
        self.spawner
    }

    /// The command line as the toolstack passed it; its bytes up to the first that isn't UTF-8.
    pub fn command_line(&self) -> &'static str {
        let line = &layout::start_info().cmd_line;
        let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
        match str::from_utf8(line) {
            Ok(line) => line,
            Err(error) => str::from_utf8(&line[..error.valid_up_to()]).unwrap_or_default(),
        }
    }

    /// What of the memory is in use.
    pub fn usage(&self) -> Usage {
        let (heap, heap_free) = heap::usage();
        Usage {
            frames: self.xen.frames(),
            heap,
            heap_free,
            stack: stack::high_water(),
        }
    }
}

unsafe extern "Rust" {
    /// The application, by [`crate::entry!`].
    safe fn grantkit_main(guest: Guest) -> BoxedFuture;
}

/// Runs the application; the last step of the boot.
pub fn run() -> ! {
    let xen = Xen::booted();
    let events = Events::bring_up(&xen);
    executor::run(events.clone(), |spawner| {
        alloc::boxed::Box::pin(async move {
            grantkit_main(Guest {
                xen,
                events,
                spawner,
            })
            .await;
            power::poweroff()
        })
    })
}
