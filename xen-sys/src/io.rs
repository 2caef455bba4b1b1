// SPDX-License-Identifier: MIT OR Apache-2.0
//! The headers below `io/`: rings that a guest shares with the control domain's daemons and with
//! other guests.

pub mod console;
pub mod libxenvchan;
pub mod xs_wire;
