// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each command does. All of them are methods of the shell.

pub(crate) mod checks;
pub(crate) mod memory;
pub(crate) mod peers;
pub(crate) mod port;
pub(crate) mod share;
pub(crate) mod system;
pub(crate) mod top;
pub(crate) mod usage;
#[cfg(feature = "channels")]
pub(crate) mod vchan;
pub(crate) mod watch;
pub(crate) mod xs;
