// SPDX-License-Identifier: MIT OR Apache-2.0
//! Raw ABI of the Xen hypervisor and of Linux's Xen devices, as far as Grantkit uses them.
//!
//! This crate transcribes public C headers: layouts, numbers, names. Xen's are modules of the
//! crate, Linux's are modules of [`linux`]. It relies on a 64-bit x86 guest (guest pointers, frame
//! numbers and `unsigned long` are `u64`, little endian) and on nothing else. It refuses logic:
//! whoever wants to decide something does it in `drivers`, whoever wants to execute a hypercall
//! does it in `kernel`.
//!
//! ```
//! use xen_sys::grant_table::{Gntmap, GnttabMapGrantRef, GrantStatus};
//!
//! // An operation as Xen takes it, its status poisoned: a field that Xen never touched is no success.
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
//!   [`callback`]: hypercalls, and what they take.
//! * [`xen`], [`xen_x86_64`], [`features`], [`elfnote`], [`errno`]: what a guest finds when it boots,
//!   and the numbers that all share.
//! * [`io`]: the rings of the console's and xenstore's daemons, and libxenvchan's.
//! * [`linux`]: the ioctls of Linux's grant devices and of its event channels.
//!
//! # Rules of this crate
//!
//! 1. No unsafe code, no logic, no dependency but `bitflags`.
//! 2. One module per public header and of the same name, `-` written `_`. Only headers and items
//!    that a program of this workspace may use: a guest, or one that speaks Linux's ABI. Three
//!    exceptions: [`hvm::start_info`] is in `arch-x86/`, [`xen_x86_64`] also holds what `arch-x86/xen.h` has, and [`linux::mman`] what
//!    `asm-generic/mman-common.h` has. A long header's module is a directory, and re-exports all
//!    flat.
//! 3. A struct is the header's name in UpperCamelCase (`struct gnttab_map_grant_ref` is
//!    [`grant_table::GnttabMapGrantRef`]) and carries the C name as `doc(alias)`.
//! 4. A struct is `repr(C)`, its fields are public and keep the header's names; a name that is a
//!    Rust keyword is changed and keeps the C name as `doc(alias)`.
//! 5. A field is an integer, an atomic integer, an array of those, a struct of this crate or one of
//!    the transparent newtypes of rules 8 and 9. No `bool`, no `enum`, no pointer, no reference:
//!    every bit pattern is a valid value. A C union is an integer of its size, or flattened. An
//!    array of variable length has one element, as in the header.
//! 6. There is no implicit padding: padding that the header doesn't name is a field whose name
//!    starts with `_pad`. Users set it to zero (`..Default::default()`) and never read it.
//! 7. Under every struct stands a `layout!` line: the size, every field's offset, and that the
//!    fields' sizes add up to the size. It is evaluated in every build.
//! 8. A C enum, or a family of `#define`s that is one, is a newtype with associated constants. A
//!    value that no constant names is legal: Xen's next version may send it.
//! 9. A set of flags is a `bitflags` type that keeps unknown bits. Multi-bit fields inside a set of
//!    flags are associated constants outside of the macro, so that they never print as flags.
//! 10. What goes to a system call of Linux as a plain number is a plain `u32` constant of the
//!     header's name: the commands of `ioctl` (`IOCTL_*`), and what `mmap` takes.
//! 11. What Xen or a peer may write while we hold a reference is atomic, its padding included.
//! 12. Domain numbers, grant references, ports and frames are raw integers here; the types that
//!     tell them apart live in `drivers`.
//! 13. Every public item has a doc line with its unit or range; pitfalls of the interface are told
//!     at the item where one falls into them.
//! 14. Every struct, field and constant is compared with the C compiler's view of the headers by
//!     `tests/headers`, which also fails if an item of this crate isn't in its tables.

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
