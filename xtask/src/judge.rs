// SPDX-License-Identifier: MIT OR Apache-2.0
//! What guests must have printed, and how checks are counted. The verdicts are functions of text,
//! without processes.

pub mod bench; // what each operation costs
pub mod counts; // a guest's counts, before and after
pub mod crash; // the dump that a crash leaves
pub mod demo; // the demo's steps
pub mod html; // words inside HTML and XML
pub mod picture; // a page with a drawing of a demo run
pub mod profile; // a trace of instructions, folded by function
pub mod record; // the record of all checks, for the end of a run and for machines
pub mod reply; // the result line that every command ends in
pub mod seen; // what a demo guest logs about each turn
pub mod tally; // the count of checks
#[cfg(test)]
pub mod text; // text split into lines, for tests
pub mod witness; // what Xen's own log says about our guests
