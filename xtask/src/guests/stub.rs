// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image with a stub before its PVH entry point, which sets up what a faulty domain builder or
//! Xen would leave behind.
//!
//! The stub runs in 32-bit mode, with EBX pointing to hvm_start_info, makes its changes and jumps
//! to the image's own entry. It is put into the gap after a segment in the file, the text's if
//! it has room, and the segment grows by its length. Without paging, any memory can be executed.
//! Refuses a file that is not a PVH kernel or has no such gap.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::host::paths;

/// The note that names the entry point, `XEN_ELFNOTE_PHYS32_ENTRY`.
const ENTRY: u32 = 18;
/// Program header types.
const LOAD: u32 = 1;
const NOTE: u32 = 4;

/// Writes the image with this stub to the file `name` for dom0.
pub fn image(name: &str, stub: &[u8]) -> Result<PathBuf> {
    let kernel = paths::image().join("grantkit");
    let mut elf = fs::read(&kernel).context("there is no image")?;
    before_entry(&mut elf, stub)
        .context("the image has no PVH entry, or no room behind a segment")?;
    let file = paths::target().join("dom0").join(name);
    fs::create_dir_all(paths::target().join("dom0"))?;
    fs::write(&file, elf).with_context(|| format!("cannot write {}", paths::shown(&file)))?;
    Ok(file)
}

/// Puts `stub` before the PVH entry of a 64-bit ELF file.
fn before_entry(elf: &mut [u8], stub: &[u8]) -> Option<()> {
    let headers = number(elf, 32, 8)?;
    let all = (0..number(elf, 56, 2)?).map(|at| headers + at * 56);
    let is = |elf: &[u8], at, kind| number(elf, at, 4) == Some(kind as usize);
    let note = all.clone().find(|at| is(elf, *at, NOTE))?;
    let entry = note_value(elf, number(elf, note + 8, 8)?, number(elf, note + 32, 8)?)?;
    // mov eax, <entry>; jmp eax
    let mut code = [stub, &[0xb8]].concat();
    code.extend_from_slice(&u32::try_from(number(elf, entry, 8)?).ok()?.to_le_bytes());
    code.extend_from_slice(&[0xff, 0xe0]);
    let mut loads = all.filter(|at| is(elf, *at, LOAD));
    let (load, gap) = loads.find_map(|at| Some((at, gap(elf, at, code.len())?)))?;
    let len = number(elf, load + 32, 8)?;
    put(elf, entry, number(elf, load + 24, 8)? + len);
    for size in [32, 40] {
        put(elf, load + size, len + code.len());
    }
    elf.get_mut(gap)?.copy_from_slice(&code);
    Some(())
}

/// The place of `room` bytes after the segment with this header: zeros in the file, in the
/// segment's last page, with nothing of the segment's own in memory.
fn gap(elf: &[u8], load: usize, room: usize) -> Option<Range<usize>> {
    let [offset, address, len, in_memory] = [8, 24, 32, 40].map(|at| number(elf, load + at, 8));
    let (start, len) = (offset? + len?, len?);
    let is_free = elf.get(start..start + room)?.iter().all(|byte| *byte == 0);
    let fits = in_memory? == len && (address? + len) % 4096 + room <= 4096;
    (is_free && fits).then_some(start..start + room)
}

/// The offset of the entry note's value, in the `len` bytes of notes at `at`.
fn note_value(elf: &[u8], mut at: usize, len: usize) -> Option<usize> {
    let end = at.checked_add(len)?;
    while at < end {
        let [name, value] = [at, at + 4].map(|field| number(elf, field, 4));
        let value_at = at + 12 + name?.next_multiple_of(4);
        if number(elf, at + 8, 4)? == ENTRY as usize {
            return Some(value_at);
        }
        at = value_at + value?.next_multiple_of(4);
    }
    None
}

/// Reads a little-endian number of `bytes` bytes.
fn number(elf: &[u8], at: usize, bytes: usize) -> Option<usize> {
    let bytes = elf.get(at..at.checked_add(bytes)?)?;
    usize::try_from(bytes.iter().rev().fold(0, |all: u64, byte| all << 8 | u64::from(*byte))).ok()
}

/// Writes an eight-byte field, which has been read before and so exists.
fn put(elf: &mut [u8], at: usize, value: usize) {
    if let Some(field) = elf.get_mut(at..at + 8) {
        field.copy_from_slice(&(value as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a program header, field by field.
    fn header(elf: &mut [u8], at: usize, fields: [usize; 6]) {
        for (field, value) in fields.into_iter().enumerate() {
            put(elf, at + 8 * field, value);
        }
    }

    /// A file with one segment at physical address 0x2000, whose entry is 0x2010, and its notes.
    fn elf() -> Vec<u8> {
        let mut elf = vec![0; 0x1100];
        put(&mut elf, 32, 64);
        elf[56] = 2;
        header(&mut elf, 64, [1, 0x200, 0, 0x2000, 0x40, 0x40]);
        header(&mut elf, 120, [4, 0x800, 0, 0, 48, 0]);
        elf[0x200..0x240].fill(0x90);
        let other = [&[4, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0][..], b"Xen\0", b"no\0\0"].concat();
        let entry = [&[4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0][..], b"Xen\0"].concat();
        elf[0x800..0x814].copy_from_slice(&other);
        elf[0x814..0x824].copy_from_slice(&entry);
        put(&mut elf, 0x824, 0x2010);
        elf
    }

    #[test]
    fn the_stub_becomes_the_entry_and_jumps_to_the_old_one() {
        let mut elf = elf();
        before_entry(&mut elf, &[0xf4, 0xf4]).unwrap();
        assert_eq!(number(&elf, 0x824, 8), Some(0x2040));
        assert_eq!(elf[0x240..0x249], [0xf4, 0xf4, 0xb8, 0x10, 0x20, 0, 0, 0xff, 0xe0]);
        assert_eq!([number(&elf, 96, 8), number(&elf, 104, 8)], [Some(0x49); 2]);
    }

    #[test]
    fn a_segment_whose_page_is_full_leaves_it_to_the_next() {
        let mut elf = elf();
        // The first segment ends with its page, the second has more in memory, the third has room.
        let note: [u8; 56] = elf[120..176].try_into().unwrap();
        elf[56] = 4;
        header(&mut elf, 64, [1, 0x200, 0, 0x2000, 0xffd, 0xffd]);
        header(&mut elf, 120, [1, 0x300, 0, 0x3000, 8, 16]);
        header(&mut elf, 176, [1, 0x400, 0, 0x4000, 8, 8]);
        elf[232..288].copy_from_slice(&note);
        before_entry(&mut elf, &[0xf4, 0xf4]).unwrap();
        assert_eq!(number(&elf, 0x824, 8), Some(0x4008));
        assert_eq!(elf[0x408..0x411], [0xf4, 0xf4, 0xb8, 0x10, 0x20, 0, 0, 0xff, 0xe0]);
        assert_eq!([208, 216].map(|at| number(&elf, at, 8)), [Some(0x11); 2]);
    }

    #[test]
    fn a_file_without_an_entry_or_a_gap_is_refused() {
        assert_eq!(before_entry(&mut [], &[]), None);
        let mut full = elf();
        full[0x241] = 1;
        assert_eq!(before_entry(&mut full, &[0xf4]), None);
        let mut other = elf();
        other[0x81c] = 17;
        assert_eq!(before_entry(&mut other, &[0xf4]), None);
        assert_eq!(before_entry(&mut elf(), &[0xf4; 0xff0]), None);
    }
}
