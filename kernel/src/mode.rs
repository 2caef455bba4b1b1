// SPDX-License-Identifier: MIT OR Apache-2.0
//! How Xen runs the guest.

/// How Xen runs the guest: `type` in xl's configuration. One image supports both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Paravirtualised: only Xen changes page tables.
    Pv,
    /// In a hardware container, with page tables of its own.
    Pvh,
}

impl Mode {
    /// Its name, as in xl's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pv => "pv",
            Self::Pvh => "pvh",
        }
    }
}
