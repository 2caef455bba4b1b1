// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts futures that run beside the application's own.

use core::fmt;

use drivers::Errno;

use crate::future;
use crate::machine::executor::Tasks;

/// Starts futures; part of the [`Guest`](crate::Guest) that an application gets. All copies use the
/// same executor.
#[derive(Clone, Copy)]
pub struct Spawner(pub(crate) Tasks);

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}

impl Spawner {
    /// Starts `future`; it first runs when the caller waits.
    ///
    /// # Errors
    /// ENOMEM; EAGAIN while 32 futures are running, including the kernel's own two.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Result<(), Errno> {
        self.0.spawn(future::boxed(future)?)
    }
}
