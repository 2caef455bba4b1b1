// SPDX-License-Identifier: MIT OR Apache-2.0
//! How Xen runs the lab's guests: the `type` in their configurations.

/// A mode of running guests; the image supports both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Paravirtualised, as the configurations say themselves.
    #[default]
    Pv,
    /// Hardware-assisted (PVH).
    Pvh,
}
