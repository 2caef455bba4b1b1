// SPDX-License-Identifier: MIT OR Apache-2.0
//! What most guests need: `use grantkit::prelude::*;`.
//!
//! Everything here is also elsewhere in this crate, under the same name. No name here is likely to
//! clash with a program's own.

pub use crate::gntalloc::Export;
pub use crate::gntdev::{Mapping, ReadOnly, ReadWrite, Reservation};
pub use crate::shared::{Shared, SharedMut};
pub use crate::{
    Access, ClaimedGrant, DomId, Errno, Error, GrantRef, Guest, Pages, Platform, PortNumber,
    Services, System, print, println,
};
