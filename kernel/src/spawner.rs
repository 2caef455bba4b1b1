// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting futures beside the application's own.

use core::fmt;

use drivers::Errno;

use crate::future;
use crate::machine::executor::Tasks;

/// Starts futures; an application gets it with its [`Guest`](crate::Guest). Copies start them on
/// the same executor.
#[derive(Clone, Copy)]
pub struct Spawner(pub(crate) Tasks);

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}

impl Spawner {
    /// Starts `future`; it runs when whoever calls this waits.
    ///
    /// # Errors
    /// ENOMEM; EAGAIN while 32 futures run, the kernel's own two included.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Result<(), Errno> {
        self.0.spawn(future::boxed(future)?)
    }
}
