// SPDX-License-Identifier: MIT OR Apache-2.0
//! The services of a Grantkit guest: grants, event channels, the console, xenstore, the balloon.
//!
//! A domain *grants* pages of its own to a peer (the service [`gntalloc`]), which *maps* them (the
//! service [`gntdev`]). Both services follow two old Linux drivers, *the seeds*: the gntalloc of
//! 2011 and the gntdev of 2007. The repository's `docs/contract.md` specifies both, call by call.
//!
//! The crate contains no hypercall instruction and no fixed address. It reaches Xen through the
//! trait [`Hypervisor`] and memory through [`memory::Memory`], together *the seam*, and runs
//! unchanged in a real guest and on `fake-xen`, a model of Xen that is stricter than Xen itself.
//!
//! ```
//! use drivers::gntdev::ReadWrite;
//! use drivers::shared::{Shared, SharedMut};
//! use drivers::{Access, Pages};
//! use fake_xen::Pair;
//!
//! let Pair { alice, bob, .. } = Pair::new();
//! let page = alice.gntalloc.open().alloc(bob.domid, Pages(1), Access::ReadWrite)?;
//! page.write(0, b"hello")?;
//! // Bob learns the reference through xenstore or some other way.
//! let grant = alice.domid.grant(page.gref());
//! let mapping = bob.gntdev.open()?.reserve(&[grant])?.map::<ReadWrite>()?;
//! let mut seen = [0; 5];
//! mapping.read(0, &mut seen)?;
//! assert_eq!(&seen, b"hello");
//! mapping.unmap()?;
//! page.end()?;
//! # Ok::<(), drivers::Error>(())
//! ```
//!
//! # Map
//!
//! Start here:
//!
//! * [`Services`]: all services of one guest, brought up in order. Every application gets one.
//! * [`gntalloc`]: granting this domain's pages to peers.
//! * [`gntdev`]: mapping the pages of peers, and copying to and from them.
//! * [`shared`]: reading and writing granted and mapped pages.
//!
//! Then:
//!
//! * [`events`]: event channel ports. [`notify`]: telling the peer when pages are released.
//! * [`xenstore`]: the tree of values that the toolstack and all domains share. [`peers`]: finding
//!   other domains by it.
//! * [`console`]: text in and out. [`balloon`]: the domain's size.
//! * [`buffer`]: pages for grant copies. [`list`]: growing a `Vec` without a panic.
//!
//! For an implementor of the seam: [`hypervisor`], [`memory`] and [`Boot`].
//!
//! # Safety and panics
//!
//! `unsafe` code is denied except in the few modules that declare or call the seam, chiefly `raw`.
//! The crate relies on one thing: that implementors of the seam keep the duties stated at each
//! method. No input from a caller, a peer or Xen makes it panic.
#![no_std]

extern crate alloc;

pub mod balloon;
mod boot;
pub mod boxed;
pub mod buffer;
pub mod console;
pub mod events;
pub mod gntalloc;
pub mod gntdev;
mod grant_table;
pub mod hypervisor;
pub mod list;
pub mod memory;
pub mod notify;
pub mod peers;
pub mod services;
pub mod shared;
pub mod xenstore;

mod errno;
mod error;
mod few;
mod ids;
mod lock;
mod queue;
mod raw;
mod run_tree;
mod slab;
mod system;
mod turn;
mod waiters;
mod words;

pub use boot::{Boot, ConsoleDevice, SharedPage, XenstoreDevice};
pub use errno::Errno;
pub use error::{Error, status_errno, status_name};
pub use grant_table::GrantInfo;
pub use hypervisor::{Call, Counters, Hypervisor};
pub use ids::{
    Access, ClaimedDomId, ClaimedGrant, DomId, GrantRef, NotADomId, PeerState, PortNumber,
};
pub use memory::{Index, Pages, Platform};
pub use services::{BringUpError, Limits, Services};
pub use system::System;
#[doc(no_inline)]
pub use xen_sys::grant_table::GrantStatus;
