// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several tiers and commands do with guests.

pub mod config; // xl configurations
pub mod demo; // two guests share memory, step by step
pub mod image; // the guests' ELF files, and target/xen
pub mod life; // created, at its prompt, gone
pub mod parts; // what an image consists of
pub mod program; // a guest by its name, its crate or its file
pub mod sharing; // two guests share at their prompts
pub mod stub; // the image with a stub before its PVH entry
mod survive; // the demo's step that dom0 makes
