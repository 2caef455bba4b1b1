// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grantkit: a library for building a 64-bit Xen guest, PV or PVH, that shares memory with others.
//!
//! A guest is this crate and one async function:
//!
//! ```no_run
//! #![no_std]
//! #![no_main]
//! use grantkit::{Guest, println};
//!
//! grantkit::entry!(main);
//!
//! async fn main(guest: Guest) {
//!     println!("the command line is {}", guest.command_line());
//! }
//! ```
//!
//! Write what it does with the services generic over [`Platform`], and it also runs on the host:
//!
//! ```
//! use fake_xen::Pair;
//! use grantkit::prelude::*;
//!
//! fn greet<X: Platform>(services: &Services<X>, peer: DomId) -> Result<Export<X>, Error> {
//!     let page = services.gntalloc.open().alloc(peer, Pages(1), Access::ReadOnly)?;
//!     page.write(0, b"hello")?;
//!     Ok(page)
//! }
//!
//! let Pair { alice, bob, .. } = Pair::new();
//! let page = greet(&alice, bob.domid)?;
//! let mapping = bob.map::<ReadOnly>(&[alice.domid.grant(page.gref())]);
//! let mut seen = [0; 5];
//! mapping.read(0, &mut seen)?;
//! assert_eq!(&seen, b"hello");
//! # Ok::<(), Error>(())
//! ```
//!
//! # Map
//!
//! * [`prelude`]: what most guests need. [`Guest`]: what `main` gets. [`Services`]: everything a
//!   guest can do with Xen, most of it in [`gntalloc`] (granting), [`gntdev`] (mapping), [`events`]
//!   (ports), [`xenstore`] and [`peers`] (finding each other).
//! * [`Spawner`]: background futures; [`futures`]: waiting for several at once. [`log`].
//! * [`power`]: the guest's end. [`crash`]: each kind of crash, to see the dump.
//! * [`raw`]: hypercalls, for callers who accept their duties. [`drivers`]: everything else.
//!
//! docs/guide.md in the repository goes on from here: two guests that share, and short how-tos.
//!
//! The target is `x86_64-unknown-none`; the build script says which flags `.cargo/config.toml` must
//! then have. The crate boots, protects memory, prints crash dumps, keeps time and runs futures.
//! All knowledge of grants and events is in [`drivers`], which sees this crate as [`Xen`], the
//! implementor of its two traits.
//!
//! On the host the bare-metal layer is left out: an application compiles and can be linted there,
//! but no [`Guest`] can exist. Code to be tested is generic over [`Platform`] and runs on the crate
//! `fake-xen`.
//!
//! Not supported: a second vCPU, user mode, interrupts while code runs.
#![no_std]

extern crate alloc;
#[cfg(not(target_os = "none"))]
extern crate std;

mod crash;
mod future;
mod guest;
#[cfg(not(target_os = "none"))]
mod host;
mod hypercall;
#[cfg(target_os = "none")]
mod metal;
mod mode;
pub mod power;
pub mod prelude;
#[cfg(target_os = "none")]
mod pv;
#[cfg(any(test, target_os = "none"))]
mod pvh;
#[cfg(any(test, target_os = "none"))]
mod ranges;
pub mod raw;
mod spawner;
#[cfg(any(test, target_os = "none"))]
mod text;
#[cfg(any(test, target_os = "none"))]
mod time;
mod xen;

#[cfg(not(target_os = "none"))]
use host as machine;
#[cfg(target_os = "none")]
use metal as machine;

pub use crash::{Crash, crash};
pub use guest::{Guest, MemoryUsage};
pub use mode::Mode;
pub use spawner::Spawner;
pub use xen::Xen;

pub use drivers;
pub use drivers::{
    Access, ClaimedGrant, DomId, Errno, Error, GrantRef, Pages, PeerState, Platform, PortNumber,
    Services, System, events, gntalloc, gntdev, notify, peers, shared, xenstore,
};
/// Waiting for one of several futures, or for all.
pub use embassy_futures as futures;
/// Log lines are printed with their time, from level info up.
pub use log;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/guide.md")]
mod guide {}

/// For the macros only.
#[doc(hidden)]
pub mod __private {
    pub use crate::future::{BoxedFuture, boxed};
    #[cfg(not(target_os = "none"))]
    pub use crate::host::refuse;
    pub use crate::machine::console::print;
}

/// Declares the function that the guest runs: an `async fn` that takes a [`Guest`]. When it
/// returns, the domain powers off.
///
/// On the host the program also links, and prints one line saying that it boots as a Xen guest. Set
/// `test = false` for a `[[bin]]` that uses this: `#![no_main]` leaves no room for a test harness.
/// A program that uses it may `#![forbid(unsafe_code)]`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        const _: () = {
            #[cfg(target_os = "none")]
            #[unsafe(no_mangle)]
            fn grantkit_main(
                guest: $crate::Guest,
            ) -> ::core::result::Result<$crate::__private::BoxedFuture, $crate::Errno> {
                $crate::__private::boxed($main(guest))
            }

            #[cfg(not(target_os = "none"))]
            #[unsafe(export_name = "main")]
            extern "C" fn on_the_host() -> i32 {
                $crate::__private::refuse($main)
            }
        };
    };
}

/// Prints on the console, immediately.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => {
        $crate::__private::print(format_args!($($text)*))
    };
}

/// Prints a line on the console, immediately.
#[macro_export]
macro_rules! println {
    () => {
        $crate::print!("\n")
    };
    ($($text:tt)*) => {
        $crate::print!("{}\n", format_args!($($text)*))
    };
}
