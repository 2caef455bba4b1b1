// SPDX-License-Identifier: MIT OR Apache-2.0
//! This machine: nothing in here knows of Xen or of guests.

pub mod alone; // one run at a time
pub mod browser; // a page as people see it
pub mod cargo; // cargo, called from inside cargo
pub mod children; // every process that the tool starts, and how it ends
pub mod look; // how a line looks on a terminal
pub mod paths; // where things lie
pub mod random; // the seed of a run, and what is drawn from it
pub mod steps; // one line as a step starts and as it ends
pub mod terminal; // the terminal that a person sits at
