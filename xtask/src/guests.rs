// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several tiers and commands do with guests: building, creating and driving them.

pub mod config; // xl configurations
pub mod demo; // two guests share memory, step by step
pub mod image; // the guests' ELF files, and target/xen
pub mod life; // creates guests, awaits their prompts and their ends
pub mod parts; // what takes up an image's memory
pub mod program; // finds a guest by name, crate or file
pub mod sharing; // two guests share pages, driven from their prompts
pub mod stub; // the image with a stub before its PVH entry point
mod survive; // the demo step that dom0 performs
