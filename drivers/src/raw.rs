// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only module of this crate that reads and writes by address.
//!
//! Everything around it is safe code over these types:
//!
//! * [`pages`] reads, writes and frees pages of our own.
//! * [`Region`] and [`Window`] map, read, write and unmap pages of other domains.
//! * [`copy`] lets Xen copy to and from pages of our own.
//! * [`Vacancies`] holds the PFNs whose pages were given back to Xen.
//! * [`Notices`] keeps what to do if the guest dies.
//!
//! Whatever makes an access sound is checked here, at the access; nothing relies on promises of
//! callers.
#![expect(unsafe_code, reason = "calls the methods of the seam that name addresses")]

mod batch;
pub(crate) mod copy;
mod eagain;
mod notices;
pub(crate) mod pages;
mod region;
mod reservation;
mod room;
mod space;
mod window;

pub(crate) use notices::{NoticeId, Notices};
pub(crate) use region::{READ_ONLY_BYTE, Region};
pub(crate) use reservation::{BATCH, Vacancies};
pub(crate) use room::lengthen;
pub(crate) use space::Space;
pub(crate) use window::Window;
