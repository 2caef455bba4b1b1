// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds every `core::panic::Location` in an image.
//!
//! A panic refers to its `Location` by address, so they survive whatever the linker and the
//! outliner do to code. Each consists of the address and length of the file's name, the line, and
//! the column.

use std::collections::BTreeSet;

use super::elf::Image;

/// A place in a source file; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    pub file: String,
    pub line: u32,
    pub column: u32,
}

/// Returns all locations, each once.
pub fn of(image: &Image) -> BTreeSet<Location> {
    let data = image.sections.iter().filter(|section| !section.code);
    let words = data.flat_map(|section| {
        let past = (section.start.next_multiple_of(8) - section.start) as usize;
        section.bytes.get(past..).unwrap_or_default().windows(24).step_by(8)
    });
    words.filter_map(|bytes| location(image, bytes)).collect()
}

fn location(image: &Image, bytes: &[u8]) -> Option<Location> {
    let (name, rest) = bytes.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (line, rest) = rest.split_first_chunk()?;
    let (line, column) = (u32::from_le_bytes(*line), u32::from_le_bytes(*rest.first_chunk::<4>()?));
    let len = Some(u64::from_le_bytes(*len)).filter(|len| (4..1000).contains(len))?;
    let file = str::from_utf8(image.at(u64::from_le_bytes(*name), len)?).ok()?;
    // A name may end in a zero byte, for use as a C string.
    let file = file.trim_end_matches('\0');
    let plausible = file.ends_with(".rs") && line > 0 && column > 0;
    plausible.then(|| Location { file: file.to_owned(), line, column })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panics::elf::Section;
    use std::collections::BTreeMap;

    const NAMES: u64 = 0xffff_ffff_8000_0000;

    fn image(words: &[[u64; 3]]) -> Image {
        let bytes = words.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        let names = Section { start: NAMES, bytes: b"a/b.rs\0c.rs".to_vec(), code: true };
        let data = Section { start: NAMES + 0x1000, bytes, code: false };
        Image { sections: vec![names, data], functions: BTreeMap::new() }
    }

    #[test]
    fn each_is_found_once_with_and_without_a_zero_byte() {
        let [first, second] = [[NAMES, 7, 3 | 4 << 32], [NAMES + 7, 4, 1 | 2 << 32]];
        let found = of(&image(&[first, [0, 1, 8], second, first]));
        let shown: Vec<_> = found.iter().map(|l| (l.file.as_str(), l.line, l.column)).collect();
        assert_eq!(shown, [("a/b.rs", 3, 4), ("c.rs", 1, 2)]);
    }

    #[test]
    fn other_words_are_no_locations() {
        let other = [
            [NAMES, 6, 3],               // no column
            [NAMES, 6, 4 << 32],         // no line
            [NAMES, 5, 3 | 4 << 32],     // no name of a Rust file
            [NAMES + 7, 5, 3 | 4 << 32], // beyond its section
            [0, 6, 3 | 4 << 32],         // no memory there
        ];
        assert!(of(&image(&other)).is_empty());
    }
}
