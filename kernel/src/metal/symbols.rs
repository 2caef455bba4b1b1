// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names for addresses, from the symbol table that the domain builder loads after the image.
//!
//! Relies on the note BSD_SYMTAB and on the layout of elf_load_bsdsyms (xen/common/libelf/
//! libelf-loader.c): after the image, aligned to 8, a 32-bit size, an ELF header, three section
//! headers (none, symbols, strings) with offsets relative to the ELF header, the tables. Everything
//! is checked against the memory that the builder filled. Without a valid table there are no names.
#![expect(unsafe_code, reason = "the tables are found behind the image")]

use core::{fmt, ptr, slice};

use super::image;
use super::memory::{PAGE_SIZE, layout};

/// A function, and the offset of an address in it. Displays as the words of its name and the
/// offset.
#[derive(Debug)]
pub struct Symbol {
    name: &'static str,
    offset: u64,
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut joint = "";
        for word in words(self.name) {
            write!(f, "{joint}{word}")?;
            joint = "::";
        }
        write!(f, "+{:#x}", self.offset)
    }
}

/// The words of a mangled name, in order: crate, modules, types, function, then those of its type
/// parameters. Full demangling would take 15 KiB; this is enough to find one's way. An unmangled
/// name is one word.
///
/// In Rust's v0 mangling a word is its decimal length, a `_` if it begins with a digit or `_`, and
/// its bytes. Numbers between words (crate hashes and back references) end in `_`.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = name.strip_prefix("_R").unwrap_or("");
    let plain = Some(name).filter(|_| rest.is_empty());
    plain.into_iter().chain(core::iter::from_fn(move || {
        loop {
            let first = *rest.as_bytes().first()?;
            match first {
                b's' | b'B' | b'L' => rest = rest.get(rest.find('_')? + 1..)?,
                b'1'..=b'9' => {
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    let len: usize = rest.get(..digits)?.parse().ok()?;
                    let word = rest.get(digits..)?;
                    let word = word.strip_prefix('_').unwrap_or(word);
                    rest = word.get(len..)?;
                    return word.get(..len);
                }
                _ => rest = rest.get(1..)?,
            }
        }
    }))
}

/// The function that `address` lies in.
pub fn lookup(address: usize) -> Option<Symbol> {
    const ENTRY: usize = 24;
    const FUNCTION: u8 = 2;
    let address = address as u64;
    let (symbols, strings) = tables()?;
    symbols.chunks_exact(ENTRY).find_map(|symbol| {
        let value = u64_at(symbol, 8)?;
        let offset = address.checked_sub(value)?;
        let within = symbol[4] & 0xf == FUNCTION && offset < u64_at(symbol, 16)?;
        let name = strings.get(u32_at(symbol, 0)? as usize..).filter(|_| within)?;
        let name = name.split(|&byte| byte == 0).next()?;
        Some(Symbol { name: str::from_utf8(name).ok()?, offset })
    })
}

/// The symbols and the strings.
fn tables() -> Option<(&'static [u8], &'static [u8])> {
    const HEADER: usize = 64;
    const SECTION: usize = 64;
    let start = image::data().end.next_multiple_of(8);
    let end = layout::VIRT_BASE + layout::used_end().0 as usize * PAGE_SIZE;
    // SAFETY: aligned, and mapped: the builder's last page, the boot stack, lies further up.
    let size = unsafe { ptr::with_exposed_provenance::<u32>(start).read() } as usize;
    // The size counts from the ELF header. Whatever it says, the last page is the boot stack's.
    let first = start + size_of::<u32>();
    if size > end.checked_sub(first + PAGE_SIZE)? {
        return None;
    }
    // SAFETY: everything between the image and the boot stack is mapped and never handed out, and
    // this part, if it is the symbol table that the next line looks for, is constant.
    let elf = unsafe { slice::from_raw_parts(ptr::with_exposed_provenance::<u8>(first), size) };
    if !elf.starts_with(b"\x7fELF") {
        return None;
    }
    let section = |index: usize| {
        let header = elf.get(HEADER + index * SECTION..)?;
        let offset = u64_at(header, 24)? as usize;
        elf.get(offset..offset.checked_add(u64_at(header, 32)? as usize)?)
    };
    Some((section(1)?, section(2)?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
