// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of a tier runs, and on which hypervisor.

use std::path::PathBuf;

use anyhow::Result;

use crate::lab::Mode;
use crate::lab::apt::Release;
use crate::lab::dom0::{self, Dom0, More};

/// One run of a tier.
pub struct Run {
    /// How much of it.
    pub extent: Extent,
    /// The given hypervisor; `None` for Debian's.
    pub xen: Option<PathBuf>,
    /// How Xen runs the guests that xl creates.
    pub mode: Mode,
    /// The one thing of many that it is to do: what the tier's option says.
    pub choice: Option<String>,
}

impl Run {
    /// Prepares a dom0 whose programs find `guests` in their working directory.
    pub fn dom0(&self, guests: &[PathBuf]) -> Result<Dom0> {
        dom0::prepare(guests, self.xen.as_deref(), self.mode)
    }

    /// Like [`Run::dom0`], with more programs.
    pub fn dom0_with(&self, guests: &[PathBuf], more: &More) -> Result<Dom0> {
        dom0::prepare_with(Release::OWN, guests, self.xen.as_deref(), self.mode, Some(more))
    }
}

/// How much of a tier runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What fits into every test run.
    Small,
    /// All of it.
    Full,
}

impl Extent {
    /// Returns the value for this extent.
    pub fn of<T>(self, small: T, full: T) -> T {
        match self {
            Extent::Small => small,
            Extent::Full => full,
        }
    }
}
