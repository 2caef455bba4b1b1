// SPDX-License-Identifier: MIT OR Apache-2.0
//! What most guests need: `use grantkit::prelude::*;`.
//!
//! All of it is elsewhere in this crate under the same name. It brings no name that a program is
//! likely to have of its own.

pub use crate::gntalloc::Export;
pub use crate::gntdev::{Mapping, ReadOnly, ReadWrite, Reservation};
pub use crate::shared::{Shared, SharedMut};
pub use crate::{
    Access, ClaimedGrant, DomId, Errno, Error, GrantRef, Guest, Pages, Platform, PortNumber,
    Services, System, print, println,
};
