// SPDX-License-Identifier: MIT OR Apache-2.0
//! An image as laid out in memory: the bytes at an address, and the functions.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::elf::{SHF_ALLOC, SHF_EXECINSTR, STT_FUNC};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{LittleEndian, elf};

/// A range of memory with contents in the file.
#[derive(Debug)]
pub struct Section {
    pub start: u64,
    pub bytes: Vec<u8>,
    pub code: bool,
}

/// A function's name and length.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    pub len: u64,
}

#[derive(Debug)]
pub struct Image {
    pub sections: Vec<Section>,
    /// All functions, by address.
    pub functions: BTreeMap<u64, Function>,
}

impl Image {
    /// Reads a linked ELF file that has a symbol table.
    pub fn read(file: &Path) -> Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&bytes).with_context(|| format!("{} is damaged", file.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let header = elf::FileHeader64::<LittleEndian>::parse(bytes)?;
        let endian = header.endian()?;
        let table = header.sections(endian, bytes)?;
        let mut sections = Vec::new();
        for section in table.iter() {
            let flags = section.sh_flags(endian);
            if flags & u64::from(SHF_ALLOC) != 0 {
                let code = flags & u64::from(SHF_EXECINSTR) != 0;
                let (start, bytes) = (section.sh_addr(endian), section.data(endian, bytes)?);
                sections.push(Section { start, bytes: bytes.to_vec(), code });
            }
        }
        let symbols = table.symbols(endian, bytes, elf::SHT_SYMTAB)?;
        let mut functions = BTreeMap::new();
        for symbol in symbols.iter().filter(|symbol| symbol.st_type() == STT_FUNC) {
            let name = String::from_utf8_lossy(symbol.name(endian, symbols.strings())?).into();
            let len = symbol.st_size(endian);
            functions.insert(symbol.st_value(endian), Function { name, len });
        }
        Ok(Self { sections, functions })
    }

    /// The `len` bytes at `address`, if they are in the file.
    pub fn at(&self, address: u64, len: u64) -> Option<&[u8]> {
        self.sections.iter().find_map(|section| {
            let start = usize::try_from(address.checked_sub(section.start)?).ok()?;
            section.bytes.get(start..start.checked_add(usize::try_from(len).ok()?)?)
        })
    }

    /// The word at `address`.
    pub fn word(&self, address: u64) -> Option<u64> {
        Some(u64::from_le_bytes(*self.at(address, 8)?.first_chunk()?))
    }

    /// Whether `address` lies in data that has contents in the file.
    pub fn is_data(&self, address: u64) -> bool {
        let inside = |section: &Section| {
            address.checked_sub(section.start).is_some_and(|at| at < section.bytes.len() as u64)
        };
        self.sections.iter().any(|section| !section.code && inside(section))
    }
}
