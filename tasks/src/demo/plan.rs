// SPDX-License-Identifier: MIT OR Apache-2.0
//! The demo's steps and sizes, for both sides and for programs that check their output.

/// How much the demo does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoPlan {
    /// Round trips over an event channel.
    pub trips: u32,
    /// Bytes through the channel.
    pub bytes: u32,
}

impl DemoPlan {
    /// The demo as people see it.
    pub const FULL: DemoPlan = DemoPlan { trips: 10_000, bytes: 64 << 20 };
}

/// The steps' names, by number from 1. Each part prints a line for each step but [`SURVIVE`]:
/// `step <number> <name> <words> ok`, or `step <number> <name> FAILED: <why>`.
pub const STEPS: [&str; 8] =
    ["share", "readonly", "events", "ring", "states", "notify", "survive", "clean"];
/// The step performed from outside: whoever runs the demo destroys the mapper.
pub const SURVIVE: u32 = 7;
/// The last step.
pub const CLEAN: u32 = 8;

/// The seed of the bytes of steps 1, 2 and 4.
pub const SEED: u64 = 42;
/// Pages of step 1, and the most references in a letter.
pub const PAGES: u32 = 64;
/// Pages of the channel's ring from the granter to the mapper.
pub const RING: u32 = 16;
/// The granter's channel, relative to its `/local/domain/<domid>`.
pub const CHANNEL: &str = "data/grantkit/demo/channel";
