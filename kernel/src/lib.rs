// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grantkit: a 64-bit guest of Xen, PV or PVH, that shares memory with others, as a library.
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
//! What it does with the services is generic over [`Platform`], so that it runs on the host, too:
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
//! * [`prelude`]: what most guests need. [`Guest`]: what `main` gets. [`Services`]: all that a guest
//!   can do with Xen, most of it in [`gntalloc`] (granting), [`gntdev`] (mapping), [`events`] (ports),
//!   [`xenstore`] and [`peers`] (finding each other).
//! * [`Spawner`]: futures beside the application's own; [`futures`]: several in one. [`log`].
//! * [`power`]: the guest's end. [`crash`]: each kind of crash, to see the dump.
//! * [`raw`]: hypercalls, for who takes their duties on. [`drivers`]: all that isn't named here.
//!
//! docs/guide.md in the repository goes on from here: two guests that share, and how to do what.
//!
//! It is built for `x86_64-unknown-none`; the build script says which flags `.cargo/config.toml`
//! must have for that. The crate boots, protects memory, dumps what goes wrong, keeps time and runs
//! futures. What it knows of grants and events is [`drivers`], which sees this crate as [`Xen`], an
//! implementor of its two traits.
//!
//! On the host the metal is left out: an application's source compiles there and can be linted, but
//! a [`Guest`] can't be had. What is to be tested is generic over [`Platform`] and runs on the
//! crate `fake-xen`.
//!
//! It refuses: a second vCPU, user mode, interrupts while code runs.
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
/// What is logged is printed with its time, from level info on.
pub use log;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/guide.md")]
mod guide {}

/// For the macros alone.
#[doc(hidden)]
pub mod __private {
    pub use crate::future::{BoxedFuture, boxed};
    #[cfg(not(target_os = "none"))]
    pub use crate::host::refuse;
    pub use crate::machine::console::print;
}

/// Names the function that the guest runs: an `async fn` that takes a [`Guest`]. When it returns,
/// the domain powers off.
///
/// On the host the program links as well, and says in one line that it boots as a guest of Xen. A
/// `[[bin]]` that uses this has `test = false`: with `#![no_main]` there is no place for a test
/// harness. A program that uses it may `#![forbid(unsafe_code)]`.
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

/// Prints on the console, at once.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => {
        $crate::__private::print(format_args!($($text)*))
    };
}

/// Prints a line on the console, at once.
#[macro_export]
macro_rules! println {
    () => {
        $crate::print!("\n")
    };
    ($($text:tt)*) => {
        $crate::print!("{}\n", format_args!($($text)*))
    };
}
