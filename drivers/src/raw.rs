//! The one place in this crate where addresses are touched.
//!
//! Everything around it is safe code over these types: [`pages`] reads, writes and scrubs pages
//! of ours by their [`Page`], and [`Window`] maps, reads, writes and unmaps pages of others inside
//! a [`PageSlot`] of ours, and [`copy`] lets Xen copy to and from pages of ours. What makes an access sound is checked here, at the access, and relies
//! on nothing that a caller keeps.
#![expect(unsafe_code, reason = "calls the methods of the seam that name addresses")]

pub(crate) mod copy;
mod eagain;
pub(crate) mod pages;
mod window;

#[cfg(doc)]
use crate::memory::{Page, PageSlot};
pub(crate) use window::Window;
