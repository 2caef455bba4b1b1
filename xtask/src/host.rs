// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host machine; nothing in here knows about Xen or guests.

pub mod alone; // one run at a time
pub mod browser; // lays a page out in a browser and looks for faults
pub mod cargo; // cargo, called from inside cargo
pub mod children; // every process that the tool starts, and its end
pub mod look; // how a line looks on a terminal
pub mod paths; // where files are
pub mod random; // a run's seed and its random numbers
pub mod steps; // a line when a step starts and when it ends
pub mod terminal; // the settings of the user's terminal
