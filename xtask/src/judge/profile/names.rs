// SPDX-License-Identifier: MIT OR Apache-2.0
//! Function names: the guest's from its debug information, Xen's from its symbol list.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use object::read::elf::{FileHeader, SectionHeader};
use object::{Endianness, elf};

use super::Place;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Looks up the function at an address.
pub struct Names<'a> {
    guest: Context<Slice<'a>>,
    xen: BTreeMap<u64, Rc<str>>,
}

/// The name of all of Xen, without its symbol list.
const WHOLE: &str = "Xen";
/// How the names of its functions begin.
const OF_XEN: &str = "Xen: ";

/// The part of the address space that belongs to Xen.
const XEN: std::ops::Range<u64> = 0xffff_8000_0000_0000..0xffff_8800_0000_0000;

/// The part that a guest of ours has; Linux's kernel begins behind it.
const GUEST: std::ops::Range<u64> = 0xffff_ffff_8000_0000..0xffff_ffff_8100_0000;

impl<'a> Names<'a> {
    /// From an ELF file with debug information, and Xen's symbol list; without the latter, all of
    /// Xen counts as one function.
    pub fn new(elf: &'a [u8], symbols: Option<&str>) -> Result<Self, String> {
        let load = |id: SectionId| {
            let bytes = section(elf, id.name()).unwrap_or_default();
            Ok::<_, addr2line::gimli::Error>(EndianSlice::new(bytes, LittleEndian))
        };
        let dwarf = Dwarf::load(load).map_err(|error| error.to_string())?;
        let guest = Context::from_dwarf(dwarf).map_err(|error| error.to_string())?;
        Ok(Names { guest, xen: symbols.map(functions).unwrap_or_default() })
    }

    /// Where an address is.
    pub fn place(&self, at: u64) -> Place {
        if XEN.contains(&at) {
            let known = self.xen.range(..=at).next_back();
            let name = known.map_or(WHOLE.into(), |(_, name)| name.clone());
            return Place { frames: vec![name], xen: true };
        }
        if !GUEST.contains(&at) {
            return Place { frames: vec!["Linux".into()], xen: false };
        }
        let mut names: Vec<Rc<str>> = Vec::new();
        if let Ok(mut frames) = self.guest.find_frames(at).skip_all_loads() {
            while let Ok(Some(frame)) = frames.next() {
                let name = frame.function.as_ref().and_then(|name| name.demangle().ok());
                let name = name.unwrap_or(Cow::Borrowed("?"));
                // Inlined core library functions count towards their caller.
                if !is_cores(&name) {
                    names.push(short(&name).into());
                }
            }
        }
        names.reverse();
        if names.is_empty() {
            names.push("assembly".into());
        }
        Place { frames: names, xen: false }
    }
}

/// Whether a name that [`Names::place`] returned is of Xen.
pub fn is_xens(name: &str) -> bool {
    name == WHOLE || name.starts_with(OF_XEN)
}

fn section<'a>(elf: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let header = elf::FileHeader64::<Endianness>::parse(elf).ok()?;
    let endian = header.endian().ok()?;
    let table = header.sections(endian, elf).ok()?;
    let (_, section) = table.section_by_name(endian, name.as_bytes())?;
    section.data(endian, elf).ok()
}

/// Xen's functions, from lines such as `0xffff82d040215870 T do_grant_table_op`.
fn functions(symbols: &str) -> BTreeMap<u64, Rc<str>> {
    let function = |line: &str| {
        let mut words = line.split_whitespace();
        let at = u64::from_str_radix(words.next()?.trim_start_matches("0x"), 16).ok()?;
        let code = matches!(words.next()?, "t" | "T" | "w" | "W");
        let name = words.next()?;
        let name = name.rsplit_once('#').map_or(name, |(_, name)| name);
        code.then(|| (at, format!("{OF_XEN}{name}").into()))
    };
    symbols.lines().filter_map(function).collect()
}

/// Whether it is a function of the core library, or of one of its types.
fn is_cores(name: &str) -> bool {
    let owner = name.trim_start_matches('<');
    let built_in = ["u8>", "u16>", "u32>", "u64>", "usize>", "*mut ", "*const ", "[", "bool>"];
    owner.starts_with("core::") || built_in.iter().any(|of| owner.starts_with(of))
}

/// A Rust function's name without generic arguments, shortened to its last parts.
fn short(name: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0;
    for char in name.replace("::<", "<").replace("->", "").chars() {
        match char {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ if depth == 0 => plain.push(char),
            _ => {}
        }
    }
    // For `<X as Trait>::f`, X is kept, since nothing stands before its `::`.
    if plain.starts_with("::") {
        let inner = name.trim_start_matches('<');
        let owner = inner.split([' ', '<', '>']).next().unwrap_or_default();
        plain = format!("{owner}{plain}");
    }
    let parts: Vec<&str> = plain.split("::").filter(|part| !part.is_empty()).collect();
    parts[parts.len().saturating_sub(3)..].join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_says_whose_it_is() {
        for (name, said) in [
            ("drivers::gntdev::typed::Reservation<X>::map::<ReadWrite>", "typed::Reservation::map"),
            ("<drivers::raw::region::Region<X> as core::ops::Drop>::drop", "region::Region::drop"),
            ("memcpy", "memcpy"),
            ("core::mem::swap::<[u8; 4]>", "core::mem::swap"),
        ] {
            assert_eq!(short(name), said, "{name}");
        }
    }

    #[test]
    fn what_is_the_core_librarys_is_its_users() {
        for name in ["core::mem::swap::<u8>", "<u64>::checked_sub", "<*const u8>::add"] {
            assert!(is_cores(name), "{name}");
        }
        assert!(!is_cores("<drivers::raw::region::Region<X> as core::ops::Drop>::drop"));
    }

    #[test]
    fn xens_functions_are_those_of_its_list() {
        let list = "0xffff82d040201000 t x86_64/entry.S#restore_all_guest\n\
                    0xffff82d040215870 T do_grant_table_op\n0xffff82d040300000 D some_data\nbad\n";
        let known = functions(list);
        assert_eq!(known.len(), 2);
        let at = |at: u64| known.range(..=at).next_back().map(|(_, name)| &**name);
        assert_eq!(at(0xffff_82d0_4021_5999), Some("Xen: do_grant_table_op"));
        assert_eq!(at(0xffff_82d0_4020_1001), Some("Xen: restore_all_guest"));
        assert_eq!(at(0x1000), None);
        assert!(known.values().all(|name| is_xens(name)) && is_xens(WHOLE));
        assert!(!is_xens("Xen::evtchn_send"), "the guest's own");
    }
}
