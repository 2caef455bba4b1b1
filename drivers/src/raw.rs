// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one place in this crate where addresses are touched.
//!
//! Everything around it is safe code over these types. [`pages`] reads, writes and frees pages of
//! ours; [`Region`] and [`Window`] map, read, write and unmap pages of others at addresses of ours;
//! [`copy`] lets Xen copy to and from pages of ours; [`Vacancies`] are places whose pages were given
//! back to Xen; [`Notices`] keeps what is to be done if the guest dies. What makes an access sound is checked here, at the access, and relies on nothing
//! that a caller keeps.
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
