// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Linux side of Grantkit: programs that run in dom0, and the code that they share with their
//! callers.
//!
//! `agent` is the first process of the lab's dom0. It starts Xen's daemons, runs `xl` and forwards
//! the guests' consoles to the lab's driver; the two communicate in [`frame`]s. `listen` reads the
//! console of a guest that writes too much for that. `plug` is the far end of a socket that is
//! forwarded over a vchan, and `stream` is an end of one, by the crate `vchan-linux`; it also runs
//! in a Linux domU, whose first process is `domu`. `c/channel.c` is an ordinary program on
//! libxenvchan. `peer` and `costs` use Xen's other libraries, through [`libxen`].
//!
//! ```
//! use dom0::frame::{decode, encode};
//!
//! let line = encode("type.granter", b"status\n");
//! assert_eq!(line, "type.granter status\\0a\n");
//! assert_eq!(decode(line.as_bytes()), Some(("type.granter", b"status\n".to_vec())));
//! ```
//!
//! # Map
//!
//! [`frame`] is the serial line's format; [`bare`] is for first processes; [`libxen`] and [`region`]
//! are for programs on Xen's libraries. The programs are in `src/bin/`.

pub mod bare;
pub mod frame;
pub mod libxen;
pub mod region;

/// Where the console daemon and xl keep their logs.
pub const LOGS: &str = "/var/log/xen";
/// The name prefix of guests whose console is not forwarded by the agent.
pub const MUTE: &str = "mute-";
