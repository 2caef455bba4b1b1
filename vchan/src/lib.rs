// SPDX-License-Identifier: MIT OR Apache-2.0
//! Byte channels between two domains, on the wire what libxenvchan has.
//!
//! A [`Server`] shares a page and two rings with one peer and says in xenstore where they are; a
//! [`Client`] finds, checks and maps them. Both get a [`Stream`], which owns its pages and its
//! port: embedded-io's `Read` and `Write`, packets, and views of the ring without a copy in
//! between. A [`Buffered`] one lends bytes from memory of its own.
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
//! By name, and without a number: [`listen`] and [`connect`].
//!
//! The protocol is the one of the machine-proved specification `vchan.tla` (github.com/talex5/
//! spec-vchan): each step of [`Sender`] and [`Receiver`] is named after its label there, and
//! docs/vchan.md says how they map, and where the C library departs from it.
//!
//! Our indices are private and only published. A peer's is read once for each decision, checked,
//! and used; one that can't be is [`Error::PeerViolation`], which ends that channel alone. Memory
//! that the peer writes is copied and never lent.
//!
//! What a channel needs of the machine is in [`Host`] and [`Bell`]; the services of a guest are
//! one, and memory of another kind can be another.
//!
//! # Map
//!
//! * Both ends: [`Server`] and [`Client`], with [`Sizes`], each a [`Stream`] in the end.
//! * A stream's halves: [`Sender`] and [`Receiver`], with views of the ring, [`Reserved`] and
//!   [`Peeked`]; [`Buffered`].
//! * What it runs on: [`Host`] and [`Bell`]; on a guest's services, [`GuestStream`].
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
