// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/mman.h` and `asm-generic/mman-common.h`: arguments of `mmap`.

/// Protection: the memory can be read.
pub const PROT_READ: u32 = 1;
/// Protection: the memory can be written.
pub const PROT_WRITE: u32 = 2;

/// Flag: stores reach what is mapped. Either this or [`MAP_PRIVATE`] must be given.
pub const MAP_SHARED: u32 = 1;
/// Flag: stores stay private. gntdev accepts it for read-only mappings, gntalloc never.
pub const MAP_PRIVATE: u32 = 2;
