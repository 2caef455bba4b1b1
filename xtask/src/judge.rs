// SPDX-License-Identifier: MIT OR Apache-2.0
//! What guests must have said, and how checks are counted. Text only: no process, no file.

pub mod bench; // what each operation costs
pub mod counts; // what a guest counts, before and after
pub mod crash; // the dump that a crash leaves
pub mod demo; // the demo's steps
pub mod html; // words inside HTML and XML
pub mod picture; // a page that shows a run of the demo
pub mod record; // what was checked, for the end of a run and for machines
pub mod reply; // the result line that every command ends in
pub mod seen; // what a guest of the demo logs of each turn
pub mod tally; // checks, counted
#[cfg(test)]
pub mod text; // lines, for tests
pub mod witness; // what Xen's own log says of our guests
