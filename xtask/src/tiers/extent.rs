// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of a tier is run, and on which hypervisor.

use std::path::PathBuf;

use anyhow::Result;

use crate::lab::Mode;
use crate::lab::apt::Release;
use crate::lab::dom0::{self, Dom0, More};

/// One run of a tier.
pub struct Run {
    /// How much of it.
    pub extent: Extent,
    /// A hypervisor that was given; otherwise it is Debian's.
    pub xen: Option<PathBuf>,
    /// How Xen runs the guests that xl creates.
    pub mode: Mode,
}

impl Run {
    /// A dom0 whose programs find `guests` in their working directory.
    pub fn dom0(&self, guests: &[PathBuf]) -> Result<Dom0> {
        dom0::prepare(guests, self.xen.as_deref(), self.mode)
    }

    /// The same with more programs.
    pub fn dom0_with(&self, guests: &[PathBuf], more: &More) -> Result<Dom0> {
        dom0::prepare_with(Release::OWN, guests, self.xen.as_deref(), self.mode, Some(more))
    }
}

/// How much of a tier is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What every test run has time for.
    Small,
    /// All of it.
    Full,
}

impl Extent {
    /// The figure that belongs to it.
    pub fn of<T>(self, small: T, full: T) -> T {
        match self {
            Extent::Small => small,
            Extent::Full => full,
        }
    }
}
