// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Linux side of Grantkit: programs that run in dom0, and what their callers share with them.
//!
//! `agent` is the first process of the lab's dom0: it brings Xen's daemons up, runs `xl` and
//! carries the guests' consoles to whoever drives the lab. [`frame`] is the language between the
//! two. `listen` reads the console of a guest that writes too much for that way; `plug` is the far
//! end of a socket that a channel is carried to. `c/channel.c` is a program as anybody writes one
//! on libxenvchan. `peer` and `costs` stand on Xen's other libraries, [`libxen`].
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
//! [`frame`] is the line's language; [`libxen`] and [`region`] are for programs on Xen's libraries.
//! Each program is in `src/bin/`.

pub mod frame;
pub mod libxen;
pub mod region;

/// Where the console daemon and xl keep their logs.
pub const LOGS: &str = "/var/log/xen";
/// What a guest's name begins with whose console stays in dom0.
pub const MUTE: &str = "mute-";
