// SPDX-License-Identifier: MIT OR Apache-2.0
//! Byte channels between two domains, wire-compatible with libxenvchan.
//!
//! A [`Server`] shares a page and two rings with one peer and publishes them in xenstore; a
//! [`Client`] finds, maps and checks them. Both get a [`Stream`], which owns its pages and its
//! port. It has embedded-io's `Read` and `Write`, packets, and zero-copy views of the ring.
//! [`Buffered`] adds `BufRead`, from a private buffer.
//!
//! ```
//! use fake_xen::{Pair, Task};
//! use vchan::{Client, Error, Server, Sizes};
//!
//! # {
//! let Pair { world, alice, bob } = &Pair::new();
//! let echo = async {
//!     let server = Server::new(alice.services.clone(), bob.domid, "data/echo", Sizes::default());
//!     let mut stream = server?.accept().await?;
//!     let mut bytes = [0; 512];
//!     while let n @ 1.. = stream.read(&mut bytes).await? {
//!         stream.write_all(&bytes[..n]).await?;
//!     }
//!     stream.close().await
//! };
//! let ask = async {
//!     let path = "/local/domain/1/data/echo";
//!     let mut stream = Client::new(bob.services.clone(), alice.domid, path)?.connect().await?;
//!     stream.write_all(b"hello").await?;
//!     let mut bytes = [0; 5];
//!     assert_eq!(stream.read(&mut bytes).await?, 5);
//!     assert_eq!(&bytes, b"hello");
//!     stream.close().await
//! };
//! let echo = async { assert_eq!(echo.await, Ok::<(), Error>(())) };
//! let ask = async { assert_eq!(ask.await, Ok::<(), Error>(())) };
//! world.run([Task::new(&alice.events, echo), Task::new(&bob.events, ask)]);
//! # }
//! ```
//!
//! By name instead of by domid: [`listen`] and [`connect`].
//!
//! The protocol is that of the machine-proved specification `vchan.tla` (github.com/talex5/
//! spec-vchan): each step of [`Sender`] and [`Receiver`] is named after its label there.
//! docs/vchan.md has the mapping, and says where the C library departs from the specification.
//!
//! Our indices are private; the page only gets copies. The peer's index is read once per decision,
//! checked, then used; an impossible one is [`Error::PeerViolation`], which ends that channel
//! alone. Memory that the peer writes is copied, never borrowed.
//!
//! What a channel needs from its platform is in [`Host`] and [`Bell`], implemented for a guest's
//! services; other platforms can implement them, too.
//!
//! # Map
//!
//! * Both ends: [`Server`] and [`Client`], with [`Sizes`]; each gives a [`Stream`].
//! * A stream's halves: [`Sender`] and [`Receiver`], with views of the ring, [`Reserved`] and
//!   [`Peeked`]; [`Buffered`].
//! * The platform: [`Host`] and [`Bell`]; for a guest's services, [`GuestStream`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bell;
mod buffered;
mod client;
mod error;
mod guest;
mod host;
mod layout;
mod link;
mod name;
#[cfg(test)]
mod orders;
mod path;
mod receiver;
mod sender;
mod server;
mod stream;
mod turn;
mod views;

pub use bell::Bell;
pub use buffered::Buffered;
pub use client::Client;
pub use error::Error;
pub use guest::{GuestBell, GuestPages, GuestStream};
pub use host::{Host, StreamOn};
pub use layout::Sizes;
pub use name::{Accepted, Listener, connect, listen};
pub use receiver::Receiver;
pub use sender::Sender;
pub use server::Server;
pub use stream::Stream;
pub use views::{Peeked, Reserved};
