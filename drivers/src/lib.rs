// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Grantkit decides about grants, event channels, the console and xenstore.
//!
//! No hypercall and no address is in here: the crate sees Xen through [`Hypervisor`] and memory
//! through [`memory::Memory`], and runs unchanged on metal and on the crate `fake-xen`, a Xen that
//! is stricter than the real one. `unsafe` is lifted in one module, `raw`.
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
//! // Bob is told the reference, by xenstore or however.
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
//! * [`services`]: everything of one guest, brought up; where an application begins.
//! * [`gntalloc`]: pages of ours for others. [`gntdev`]: pages of others for us, and copies.
//!   [`shared`]: reading and writing what both see. [`notify`]: what is done when it's let go of.
//! * [`events`]: ports. [`xenstore`]: the toolstack's tree. [`peers`]: how domains find each other.
//!   [`console`]: text in and out. [`balloon`]: the domain's size.
//! * [`hypervisor`], [`memory`]: the seam to Xen, for who implements it. [`ring`]: what the rings of
//!   daemons have in common. [`buffer`], [`list`]: memory that may be refused.
//!
//! It relies on a single thing: that an implementor of the seam keeps the duties written at each
//! method. Nothing that a caller, a peer or Xen says makes it panic.
#![no_std]

extern crate alloc;

pub mod balloon;
mod boot;
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
pub mod ring;
pub mod services;
pub mod shared;
pub mod xenstore;

mod errno;
mod error;
mod ids;
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
