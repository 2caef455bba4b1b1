// SPDX-License-Identifier: MIT OR Apache-2.0
//! How Xen runs the lab's guests: what `type` says in their configurations.

/// The image is good for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Paravirtualised, as the configurations say themselves.
    #[default]
    Pv,
    /// In a hardware container.
    Pvh,
}
