// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds the code that may abort when memory runs out: code that calls the library functions that
//! abort, or calls library functions that reach those, or refers to a table of functions with one
//! of them.
//!
//! Relies on the image being linked for a fixed address: calls, jumps and `lea` contain 32-bit
//! distances, and `mov` a 32-bit address. Every 32-bit value that leads to a function or a table
//! counts; the instruction is decoded only far enough to tell a distance from another number.
//! Inlined library code belongs to its caller.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::elf::{Function, Image};
use super::list::Place;

/// The name endings of the functions that a failed allocation ends in.
const ABORTS: [&str; 3] =
    ["5alloc18handle_alloc_error", "7raw_vec12handle_error", "7raw_vec17capacity_overflow"];

/// Where an address is held, and the function that contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Site {
    at: u64,
    function: u64,
}

/// Returns the places in our code that reach an abort. `ours` returns, for each instruction, the
/// place in our code that it belongs to; if there is none, the callers of its function are examined
/// instead.
pub fn sites(
    image: &Image,
    mut ours: impl FnMut(&[u64]) -> Result<Vec<Option<Place>>>,
) -> Result<Vec<Place>> {
    let mut reached: BTreeSet<u64> = image
        .functions
        .iter()
        .filter(|(_, function)| ABORTS.iter().any(|end| function.name.ends_with(end)))
        .map(|(&start, _)| start)
        .collect();
    ensure!(!reached.is_empty(), "no `handle_alloc_error` found: has its name changed?");
    let references = references(image);
    let (mut places, mut todo) = (BTreeSet::new(), Vec::from_iter(reached.iter().copied()));
    while !todo.is_empty() {
        let sites: BTreeSet<_> =
            todo.drain(..).filter_map(|to| references.get(&to)).flatten().collect();
        let addresses: Vec<u64> = sites.iter().map(|site| site.at).collect();
        for (site, place) in sites.iter().zip(ours(&addresses)?) {
            match place {
                Some(place) => drop(places.insert(place)),
                None if reached.insert(site.function) => todo.push(site.function),
                None => {}
            }
        }
    }
    Ok(places.into_iter().collect())
}

/// For each function, where its address, or that of a table that contains it, is held.
fn references(image: &Image) -> BTreeMap<u64, Vec<Site>> {
    let mut references: BTreeMap<u64, Vec<Site>> = BTreeMap::new();
    for (&function, Function { len, .. }) in &image.functions {
        let code = image.at(function, *len).unwrap_or_default();
        for (offset, bytes) in code.windows(4).enumerate() {
            let number = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let at = function + offset as u64;
            let absolute = i64::from(number) as u64;
            let behind = (at + 4).wrapping_add_signed(number.into());
            let relative = is_distance(&code[..offset]).then_some(behind);
            for address in [Some(absolute), relative].into_iter().flatten() {
                let site = Site { at, function };
                if image.functions.contains_key(&address) && address != function {
                    references.entry(address).or_default().push(site);
                } else if image.is_data(address) {
                    for method in table(image, address) {
                        references.entry(method).or_default().push(site);
                    }
                }
            }
        }
    }
    references
}

/// Whether a distance follows: these bytes end in `call`, `jmp`, a conditional jump, or the start
/// of a RIP-relative operand.
fn is_distance(before: &[u8]) -> bool {
    match before {
        [.., 0xe8 | 0xe9] => true,
        [.., 0x0f, last] if last & 0xf0 == 0x80 => true,
        [.., last] => last & 0xc7 == 0x05,
        [] => false,
    }
}

/// The methods in the vtable at `address`, if it can be one: a drop function or 0, the value's size
/// and alignment, and functions. If another vtable follows directly, its first function also
/// counts.
fn table(image: &Image, address: u64) -> Vec<u64> {
    let function = |at: u64| image.word(at).filter(|word| image.functions.contains_key(word));
    let drops = image.word(address) == Some(0) || function(address).is_some();
    let aligned =
        image.word(address + 16).is_some_and(|word| word.is_power_of_two() && word <= 4096);
    if !address.is_multiple_of(8) || !drops || !aligned {
        return Vec::new();
    }
    (address + 24..).step_by(8).map_while(function).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panics::elf::Section;

    const CODE: u64 = 0xffff_ffff_8000_0000;
    const DATA: u64 = CODE + 0x1000;
    /// The length of each function, in bytes.
    const LEN: u64 = 16;

    /// An image with these functions (names and code), one after another, and a table of functions.
    fn image(functions: &[(&str, Vec<u8>)], table: &[u64]) -> Image {
        let mut code = Vec::new();
        let mut known = BTreeMap::new();
        for (name, bytes) in functions {
            known.insert(CODE + code.len() as u64, Function { name: (*name).into(), len: LEN });
            code.extend(bytes);
            code.resize(
                code.len().next_multiple_of(LEN as usize).max(known.len() * LEN as usize),
                0xcc,
            );
        }
        let data = table.iter().flat_map(|word| word.to_le_bytes()).collect();
        let sections = vec![
            Section { start: CODE, bytes: code, code: true },
            Section { start: DATA, bytes: data, code: false },
        ];
        Image { sections, functions: known }
    }

    /// Code for function number `from`: `opcode`, and the distance to `to`.
    fn jump(opcode: &[u8], from: u64, to: u64) -> Vec<u8> {
        let next = CODE + from * LEN + opcode.len() as u64 + 4;
        let distance = (to.wrapping_sub(next) as i64) as i32;
        [opcode, &distance.to_le_bytes()].concat()
    }

    fn to(function: u64) -> u64 {
        CODE + function * LEN
    }

    const ABORT: &str = "_RNvNtCsfySoobUK4LL_5alloc5alloc18handle_alloc_error";

    /// The numbers of the functions that are found if those numbered `ours` are ours.
    fn found(image: &Image, ours: &[u64]) -> Vec<u64> {
        let place = |at: &u64| {
            let function = (at - CODE) / LEN;
            let text = String::new();
            ours.contains(&function).then(|| Place { file: function.to_string(), text, line: 0 })
        };
        let places = sites(image, |sites| Ok(sites.iter().map(place).collect())).unwrap();
        places.iter().map(|place| place.file.parse().unwrap()).collect()
    }

    #[test]
    fn calls_jumps_and_addresses_count() {
        let image = image(
            &[
                (ABORT, vec![]),
                ("call", jump(&[0xe8], 1, to(0))),
                ("jmp", jump(&[0xe9], 2, to(0))),
                ("jae", jump(&[0x0f, 0x83], 3, to(0))),
                ("lea", jump(&[0x48, 0x8d, 0x3d], 4, to(0))),
                ("mov", [&[0x48, 0xc7, 0xc7][..], &(to(0) as u32).to_le_bytes()].concat()),
                ("none", vec![0x90; 16]),
                ("a number that would be a distance", jump(&[0xb8], 7, to(0))),
            ],
            &[],
        );
        assert_eq!(found(&image, &[1, 2, 3, 4, 5, 6, 7]), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn calls_in_a_library_count_for_its_callers_and_our_calls_for_us() {
        let image = image(
            &[
                (ABORT, vec![]),
                ("library", jump(&[0xe8], 1, to(0))),
                ("ours", jump(&[0xe8], 2, to(1))),
                ("calls ours", jump(&[0xe8], 3, to(2))),
            ],
            &[],
        );
        assert_eq!(found(&image, &[2, 3]), [2]);
    }

    #[test]
    fn holding_a_table_of_functions_reaches_them() {
        let image = image(
            &[
                (ABORT, vec![]),
                ("write_str", jump(&[0xe8], 1, to(0))),
                ("holds the table", jump(&[0x48, 0x8d, 0x35], 2, DATA)),
                ("holds something else", jump(&[0x48, 0x8d, 0x35], 3, DATA + 40)),
            ],
            &[0, 24, 8, to(3), to(1), 7, 7, 7],
        );
        assert_eq!(found(&image, &[2, 3]), [2]);
    }

    #[test]
    fn an_image_without_the_function_is_refused() {
        assert!(sites(&image(&[("f", vec![])], &[]), |_| Ok(vec![])).is_err());
    }
}
