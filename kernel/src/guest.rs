// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an application gets from the kernel.

use alloc::borrow::Cow;
use core::ops::Deref;

use drivers::Services;
use drivers::memory::FrameCount;

use crate::machine::memory::stack;
use crate::machine::{clock, heap, mode};
use crate::{Mode, Spawner, Xen};

/// The running guest: the services, a spawner, the command line. Nothing it offers can break what
/// the services rely on.
#[derive(Clone, Debug)]
pub struct Guest {
    services: Services<Xen>,
    spawner: Spawner,
    line: &'static str,
}

/// How much of the guest's memory is in use.
#[derive(Clone, Copy, Debug)]
pub struct MemoryUsage {
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
    /// Called at the end of the boot.
    #[cfg(target_os = "none")]
    pub(crate) fn new(services: Services<Xen>, spawner: Spawner, line: &'static str) -> Self {
        Self { services, spawner, line }
    }

    /// Event channels, console, grants: everything in [`drivers`], up and running.
    pub fn services(&self) -> &Services<Xen> {
        &self.services
    }

    /// Starts further futures.
    pub fn spawner(&self) -> Spawner {
        self.spawner
    }

    /// The command line as the toolstack passed it, at most 1,023 bytes. Bytes that aren't UTF-8
    /// are replaced, never dropped, so a truncated line keeps its length.
    pub fn command_line(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.line)
    }

    /// How Xen runs this guest. An application needs this only to display it.
    pub fn mode(&self) -> Mode {
        mode()
    }

    /// How much memory is in use.
    pub fn memory_usage(&self) -> MemoryUsage {
        let (heap, heap_free) = heap::usage();
        let frames = self.services.system.frames();
        MemoryUsage { frames, heap, heap_free, stack: stack::high_water() }
    }

    /// CPU time of this guest so far, in nanoseconds.
    pub fn cpu_time(&self) -> u64 {
        clock::cpu_time()
    }

    /// Nanoseconds since 1970, UTC, by Xen's wall clock.
    pub fn wall_clock(&self) -> u64 {
        clock::wall_clock()
    }
}

/// A guest is what its services are: `&guest` does wherever they are asked for.
impl Deref for Guest {
    type Target = Services<Xen>;

    fn deref(&self) -> &Services<Xen> {
        &self.services
    }
}
