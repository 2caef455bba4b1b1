//! What an application gets from the kernel.
#![expect(unsafe_code, reason = "the application is found by its symbol")]

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

use drivers::memory::{FrameCount, Memory};
use drivers::{Limits, Services};
use spin::Once;

use crate::executor::{self, BoxedFuture, Spawner};
use crate::memory::{layout, stack};
use crate::{Xen, console, heap, power, println};

/// The guest that runs: the services, a spawner, the command line.
#[derive(Clone, Debug)]
pub struct Guest {
    services: Services<Xen>,
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
    /// Event channels, console, grants: all that `drivers` offers, brought up.
    pub fn services(&self) -> &Services<Xen> {
        &self.services
    }

    /// Starts other futures.
    pub fn spawner(&self) -> Spawner {
        self.spawner
    }

    /// The command line as the toolstack passed it, at most 1,023 bytes. Bytes that aren't UTF-8
    /// are replaced, never dropped: a line that was cut off is to look as long as it was.
    pub fn command_line(&self) -> Cow<'static, str> {
        let line = &layout::start_info().cmd_line;
        String::from_utf8_lossy(line.split(|&byte| byte == 0).next().unwrap_or_default())
    }

    /// What of the memory is in use.
    pub fn usage(&self) -> Usage {
        let (heap, heap_free) = heap::usage();
        Usage { frames: self.services.xen.frames(), heap, heap_free, stack: stack::high_water() }
    }
}

/// For the end of a guest that crashes, which has nobody to hand it anything.
static SERVICES: Once<Services<Xen>> = Once::new();

unsafe extern "Rust" {
    /// The application, by [`crate::entry!`].
    safe fn grantkit_main(guest: Guest) -> BoxedFuture;
}

/// Brings the services up and runs the application; the last step of the boot.
pub fn run() -> ! {
    let services = match Services::bring_up(&Xen::booted(), Limits::default()) {
        Ok(services) => services,
        Err(error) => {
            println!("grantkit: {error}");
            power::poweroff()
        }
    };
    console::hand_over(services.console.clone());
    SERVICES.call_once(|| services.clone());
    power::on_crash(|| SERVICES.get().into_iter().for_each(Services::last_words));
    executor::run(services.events.clone(), |spawner| {
        Box::pin(async move {
            let reaper = services.clone();
            let reaping = spawner.spawn(async move { reaper.reap_forever().await });
            reaping.expect("the pool of tasks is empty");
            grantkit_main(Guest { services, spawner }).await;
            power::poweroff()
        })
    })
}
