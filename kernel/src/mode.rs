// SPDX-License-Identifier: MIT OR Apache-2.0
//! How Xen runs the guest.

/// How Xen runs the guest: what `type` says in xl's configuration. An image is good for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Paravirtualised: page tables are Xen's to change.
    Pv,
    /// In a hardware container, with page tables of its own.
    Pvh,
}

impl Mode {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pv => "pv",
            Self::Pvh => "pvh",
        }
    }
}
