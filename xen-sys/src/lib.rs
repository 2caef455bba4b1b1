// SPDX-License-Identifier: MIT OR Apache-2.0
//! Raw ABI of the Xen hypervisor and of Linux's Xen devices, as far as Grantkit uses them.
//!
//! This crate transcribes public C headers: layouts, numbers, names. Xen's headers are modules of
//! the crate, Linux's are modules of [`linux`]. Its only assumption is a 64-bit x86 guest: guest
//! pointers, frame numbers and `unsigned long` are `u64`, little-endian. It contains no logic:
//! decisions belong in `drivers`, hypercalls in `kernel`.
//!
//! ```
//! use xen_sys::grant_table::{Gntmap, GnttabMapGrantRef, GrantStatus};
//!
//! // An operation as Xen takes it. Its status is poisoned: if Xen never reaches the operation, it
//! // doesn't look like a success.
//! let op = GnttabMapGrantRef {
//!     host_addr: 0x1000,
//!     flags: Gntmap::HOST_MAP | Gntmap::READONLY,
//!     ref_: 8,
//!     dom: 7,
//!     status: GrantStatus::GENERAL_ERROR,
//!     ..Default::default()
//! };
//! assert_eq!((size_of_val(&op), op.status.0), (32, -1));
//! ```
//!
//! # Map
//!
//! * [`grant_table`], [`event_channel`], [`memory`], [`sched`], [`vcpu`], [`version`], [`hvm`],
//!   [`callback`]: hypercalls and their arguments.
//! * [`xen`], [`xen_x86_64`], [`features`], [`elfnote`], [`errno`]: what a guest finds at boot, and
//!   numbers used by all.
//! * [`io`]: the rings of the console and xenstore daemons, and of libxenvchan.
//! * [`linux`]: the ioctls of Linux's grant devices and its event channel device.
//!
//! # Rules of this crate
//!
//! 1. No unsafe code, no logic, no dependencies except `bitflags`.
//! 2. One module per public header, with the same name, `-` written as `_`. It has only headers and
//!    items that a program of this workspace may use: a guest, or a program that uses Linux's ABI.
//!    Three exceptions: [`hvm::start_info`] is in `arch-x86/`, [`xen_x86_64`] also has the items of
//!    `arch-x86/xen.h`, and [`linux::mman`] also has those of `asm-generic/mman-common.h`. A long
//!    header's module is a directory, and re-exports everything flat.
//! 3. A struct has the header's name in UpperCamelCase (`struct gnttab_map_grant_ref` is
//!    [`grant_table::GnttabMapGrantRef`]) and carries the C name as `doc(alias)`.
//! 4. A struct is `repr(C)`. Its fields are public and keep the header's names; a name that is a
//!    Rust keyword is changed, with the C name as `doc(alias)`.
//! 5. A field is an integer, an atomic integer, an array of those, a struct of this crate or one of
//!    the transparent newtypes of rules 8 and 9. It is never a `bool`, an `enum`, a pointer or a
//!    reference, so every bit pattern is a valid value. A C union becomes an integer of its size,
//!    or is flattened. A variable-length array has one element, as in the header.
//! 6. There is no implicit padding: padding that the header doesn't name is a field whose name
//!    starts with `_pad`. Users set it to zero (`..Default::default()`) and never read it.
//! 7. Every struct is followed by a `layout!` line, which asserts its size, every field's offset,
//!    and that the fields' sizes add up to the size. Every build evaluates it.
//! 8. A C enum, or a family of `#define`s that amounts to one, is a newtype with associated
//!    constants. A value without a constant is legal: Xen's next version may use it.
//! 9. A set of flags is a `bitflags` type that keeps unknown bits. Multi-bit fields inside a set of
//!    flags are associated constants outside the macro, so that they never print as flags.
//! 10. Plain numbers passed to Linux's system calls are plain `u32` constants with the header's
//!     names: the commands of `ioctl` (`IOCTL_*`), and the arguments of `mmap`.
//! 11. Whatever Xen or a peer may write while we hold a reference is atomic, including padding.
//! 12. Domids, grefs, ports and frame numbers are raw integers here; the types that distinguish
//!     them are in `drivers`.
//! 13. Every public item has a doc line with its unit or range. Pitfalls of the interface are
//!     described at the item concerned.
//! 14. `tests/headers` compares every struct, field and constant with the C compiler's view of the
//!     headers, and fails if an item of this crate isn't in its tables.

#![no_std]
#![forbid(unsafe_code)]

#[macro_use]
mod macros;

pub mod callback;
pub mod elfnote;
pub mod errno;
pub mod event_channel;
pub mod features;
pub mod grant_table;
pub mod hvm;
pub mod io;
pub mod linux;
pub mod memory;
pub mod sched;
pub mod vcpu;
pub mod version;
pub mod xen;
pub mod xen_x86_64;
