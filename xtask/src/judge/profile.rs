// SPDX-License-Identifier: MIT OR Apache-2.0
//! Folds a trace of instruction blocks by function.
//!
//! The trace comes from `lab/trace`. Calls and returns are recognised by the last instruction of a
//! block; inlined functions count as functions of their own. An incomplete trace is refused.

mod names;

use std::collections::BTreeMap;
use std::rc::Rc;

pub use self::names::{Names, is_xens};

/// Where an instruction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its function and those inlined there, the outermost first.
    pub frames: Vec<Rc<str>>,
    /// Whether it belongs to the hypervisor.
    pub xen: bool,
}

/// Instruction counts by call stack, the outermost function first.
pub type Folded = BTreeMap<Vec<Rc<str>>, u64>;

/// A block: its instructions' addresses, and what the last does.
struct Block {
    instructions: Vec<u64>,
    end: u64,
    last: Last,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Call,
    Return,
    Other,
}

impl Last {
    fn of(bytes: &[u8]) -> Last {
        // Skips prefixes: REX, branch hints and operand size.
        let prefix = |byte: &u8| matches!(byte, 0x40..=0x4f | 0xf2 | 0xf3 | 0x66 | 0x3e);
        let start = bytes.iter().position(|byte| !prefix(byte)).unwrap_or(bytes.len());
        match bytes[start..] {
            [0xe8, ..] | [0x0f, 0x05, ..] => Last::Call,
            [0xff, how, ..] if (how >> 3) & 7 == 2 => Last::Call,
            [0xc3 | 0xc2 | 0xcf, ..] | [0x0f, 0x07, ..] => Last::Return,
            _ => Last::Other,
        }
    }
}

/// Blocks in execution order.
struct Trace {
    blocks: BTreeMap<usize, Block>,
    ran: Vec<usize>,
}

impl Trace {
    fn parse(text: &str) -> Option<Trace> {
        let mut trace = Trace { blocks: BTreeMap::new(), ran: Vec::new() };
        let mut lines = text.lines();
        for line in lines.by_ref() {
            let mut words = line.split(' ');
            match words.next()? {
                "block" => {
                    let number = words.next()?.parse().ok()?;
                    let mut end = u64::from_str_radix(words.next()?, 16).ok()?;
                    let mut instructions = Vec::new();
                    for size in words.next()?.split(',') {
                        instructions.push(end);
                        end += size.parse::<u64>().ok()?;
                    }
                    let bytes = words.next()?.as_bytes().chunks(2);
                    let byte = |digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
                    let last = Last::of(&bytes.map(byte).collect::<Option<Vec<u8>>>()?);
                    trace.blocks.insert(number, Block { instructions, end, last });
                }
                "ran" => trace.ran.push(words.next()?.parse().ok()?),
                "end" => return lines.next().is_none().then_some(trace),
                _ => return None,
            }
        }
        None
    }
}

/// A call that has not returned.
struct Call {
    /// Where it was made.
    frames: Vec<Rc<str>>,
    /// Where it returns to.
    back: u64,
    xen: bool,
}

/// Folds a trace; `place` looks up an address.
///
/// # Errors
/// If the trace is incomplete.
pub fn fold(text: &str, mut place: impl FnMut(u64) -> Place) -> Result<Folded, String> {
    let trace = Trace::parse(text).ok_or("the trace is not whole")?;
    let mut known: BTreeMap<u64, Rc<Place>> = BTreeMap::new();
    let mut place = |at: u64| known.entry(at).or_insert_with(|| Rc::new(place(at))).clone();
    let mut calls: Vec<Call> = Vec::new();
    let mut folded = Folded::new();
    let mut before: Option<&Block> = None;
    for number in &trace.ran {
        let block = trace.blocks.get(number).ok_or("a block that ran is not in the trace")?;
        let (Some(first), Some(_)) = (block.instructions.first(), block.instructions.last()) else {
            return Err("a block without instructions".into());
        };
        if let Some(before) = before {
            let from = place(*before.instructions.last().unwrap_or(&before.end));
            let to = place(*first);
            turn(&mut calls, before, *first, &from, &to);
        }
        for at in &block.instructions {
            let called = calls.iter().flat_map(|call| &call.frames);
            let stack = called.chain(&place(*at).frames).cloned().collect();
            *folded.entry(stack).or_default() += 1;
        }
        before = Some(block);
    }
    Ok(folded)
}

/// Updates the call stack for the step from one block to the next.
fn turn(calls: &mut Vec<Call>, before: &Block, next: u64, from: &Place, to: &Place) {
    let back = calls.iter().rposition(|call| call.back == next);
    match before.last {
        Last::Call if next != before.end => {
            calls.push(Call { frames: from.frames.clone(), back: before.end, xen: from.xen });
        }
        // A return to anywhere else is a jump in disguise, as in a retpoline.
        Last::Return => match back {
            Some(at) => calls.truncate(at),
            None => drop(calls.pop()),
        },
        // Leaves the hypervisor other than by a return.
        _ if from.xen && !to.xen => {
            let outside = calls.iter().rposition(|call| !call.xen);
            calls.truncate(back.or(outside).unwrap_or(0));
        }
        _ => {}
    }
}

/// Each function's own instruction count, the largest first.
pub fn own(folded: &Folded) -> Vec<(Rc<str>, u64)> {
    let mut own: BTreeMap<Rc<str>, u64> = BTreeMap::new();
    for (stack, count) in folded {
        if let Some(last) = stack.last() {
            *own.entry(last.clone()).or_default() += count;
        }
    }
    let mut own: Vec<_> = own.into_iter().collect();
    own.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Functions of 0x100 bytes; those from 0x1000 on are Xen's, and an odd second digit means
    /// inlined.
    fn place(at: u64) -> Place {
        let mut frames: Vec<Rc<str>> = vec![format!("f{:x}", at >> 8).into()];
        if (at >> 4) & 1 == 1 {
            frames.push("inlined".into());
        }
        Place { frames, xen: at >= 0x1000 }
    }

    fn folded(trace: &str) -> Vec<(String, u64)> {
        let folded = fold(trace, place).unwrap();
        folded.into_iter().map(|(stack, count)| (stack.join(";"), count)).collect()
    }

    fn lines(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
        expected.iter().map(|(stack, count)| ((*stack).to_owned(), *count)).collect()
    }

    #[test]
    fn calls_returns_and_what_is_inlined_are_told_apart() {
        let trace = "block 0 100 1,5 e800000000\nblock 1 200 1,1,1 c3\nblock 2 106 a,4 90\n\
                     ran 0\nran 1\nran 2\nend\n";
        assert!(fold(trace, place).is_err(), "a size that is no number");
        let trace = trace.replace("a,4", "10,4");
        assert_eq!(folded(&trace), lines(&[("f1", 3), ("f1;f2", 3), ("f1;inlined", 1)]));
    }

    #[test]
    fn a_hypercall_is_a_call_of_xen_and_ends_with_the_return_to_the_guest() {
        // syscall; in Xen a call whose return is another's; sysret.
        let trace = "block 0 100 2 0f05\nblock 1 1000 5 e8\nblock 2 1200 3 480f07\n\
                     block 3 102 1 90\nran 0\nran 1\nran 2\nran 3\nend\n";
        assert_eq!(folded(trace), lines(&[("f1", 2), ("f1;f10", 1), ("f1;f10;f12", 1)]));
    }

    #[test]
    fn a_jump_to_another_function_takes_the_place_of_the_first() {
        let trace = "block 0 100 5 e8\nblock 1 200 2 eb\nblock 2 300 1 c3\nblock 3 105 1 90\n\
                     ran 0\nran 1\nran 2\nran 3\nend\n";
        assert_eq!(folded(trace), lines(&[("f1", 2), ("f1;f2", 1), ("f1;f3", 1)]));
    }

    #[test]
    fn half_a_trace_is_refused() {
        let whole = "block 0 100 5 90\nran 0\nend\n";
        assert!(fold(whole, place).is_ok());
        for bad in
            ["", "ran 0\nend\n", "block 0 100 5 90\nran 0\n", "block 0 100\nend\n", "x\nend\n"]
        {
            assert!(fold(bad, place).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_dearest_function_comes_first() {
        let trace = "block 0 100 5 e8\nblock 1 200 1,1 90\nran 0\nran 1\nend\n";
        let own = own(&fold(trace, place).unwrap());
        assert_eq!(own, [("f2".into(), 2), ("f1".into(), 1)]);
    }
}
