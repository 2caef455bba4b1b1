// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parses what `lab/trace` counted while guests that xl created were measured: whose instructions
//! ran between two marks. From that comes what a guest's boot takes, and Xen's share in what two
//! domains do together.
//!
//! A mark is a guest's entry, or a reading of its clock, the first of which ends its boot. A count
//! without an expected mark, or one that contradicts the guest's clock, is an error.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Row, sane};

/// The row of a guest's boot.
pub const BOOT: &str = "boot";
/// By which fraction the guest's clock and the count may differ.
const NEAR: f64 = 0.01;

/// Instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    pub xen: u64,
    /// Of the guests' image.
    pub guest: u64,
    /// Of dom0.
    pub others: u64,
}

impl Whose {
    fn since(self, before: Whose) -> Whose {
        let less = u64::wrapping_sub;
        Whose {
            xen: less(self.xen, before.xen),
            guest: less(self.guest, before.guest),
            others: less(self.others, before.others),
        }
    }

    /// The sum.
    pub fn all(self) -> u64 {
        self.xen + self.guest + self.others
    }
}

/// Blocks of instructions that ran: the addresses of the instructions, and how often.
pub type Ran = Vec<(Vec<u64>, u64)>;

/// One guest.
#[derive(Debug)]
struct Guest {
    /// Which of all marks its entry is.
    entry: usize,
    /// Whose instructions had run at its entry, and at each reading of its clock.
    marks: Vec<Whose>,
    /// What ran from its entry to the first reading.
    ran: Ran,
}

/// The guests, in the order in which they were created.
#[derive(Debug)]
pub struct Counted(Vec<Guest>);

impl Counted {
    /// Parses the plugin's file; `entry` is the address where guests begin. The file may end in the
    /// middle of a line, since QEMU is ended.
    pub fn parse(text: &str, entry: u64) -> Result<Counted, String> {
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut guests: Vec<Guest> = Vec::new();
        let (mut ran, mut marks) = (Ran::new(), 0);
        for line in whole.lines() {
            let bad = || format!("not a line of a count: `{line}`");
            match line.split_once(' ') {
                Some(("ran", rest)) => ran.push(block(rest).ok_or_else(bad)?),
                Some(("mark", rest)) => {
                    let (address, whose) = mark(rest).ok_or_else(bad)?;
                    if address == entry {
                        let ran = Ran::new();
                        guests.push(Guest { entry: marks, marks: vec![whose], ran });
                    } else {
                        let guest = guests.last_mut().ok_or("a clock is read before any boot")?;
                        guest.marks.push(whose);
                        if !ran.is_empty() {
                            guest.ran = std::mem::take(&mut ran);
                        }
                    }
                    marks += 1;
                }
                _ => return Err(bad()),
            }
        }
        Ok(Counted(guests))
    }

    /// Which of all marks a guest's `reading` is, both counted from 0; reading 0 is the entry.
    pub fn mark(&self, guest: usize, reading: u32) -> Result<u64, String> {
        let found = self.0.get(guest).filter(|guest| guest.marks.len() > reading as usize);
        let guest = found.ok_or_else(|| format!("no reading {reading} of guest {guest}"))?;
        Ok(guest.entry as u64 + u64::from(reading))
    }

    /// Whose instructions ran between two of a guest's readings.
    pub fn between(&self, guest: usize, [from, to]: [u32; 2]) -> Result<Whose, String> {
        let at = |reading: u32| self.0.get(guest)?.marks.get(reading as usize).copied();
        let none = || format!("no readings {from} and {to} of guest {guest}");
        let [before, after] = [from, to].map(at);
        Ok(after.ok_or_else(none)?.since(before.ok_or_else(none)?))
    }

    /// The cheapest boot, from the entry to the application, as a row, and what ran in it. The
    /// guest printed the counts.
    ///
    /// # Errors
    /// If a guest of `all` is missing, or no boot is plausible.
    pub fn boot(&self, all: usize, lines: &[String]) -> Result<(Row, Ran), String> {
        if self.0.len() != all {
            return Err(format!("{} guests booted, and not {all}", self.0.len()));
        }
        let boots = (0..all).map(|guest| Ok((guest, self.between(guest, [0, 1])?)));
        let boots = boots.collect::<Result<Vec<_>, String>>()?;
        // While a guest boots, dom0 may run; what it does is not the guest's.
        let cost = |whose: &Whose| whose.guest + whose.xen;
        let least = boots.into_iter().min_by_key(|(_, whose)| cost(whose));
        let (guest, whose) = least.ok_or("no guest booted")?;
        let line = lines.iter().find(|line| line.starts_with("boot "));
        let line = line.ok_or("the guest said nothing of its boot")?;
        let count = |key| word(line, key)?.parse().ok();
        let bad = || format!("no count of a boot: `{line}`");
        let row = Row {
            op: BOOT.into(),
            n: 1,
            ours: cost(&whose) as f64,
            xen: Some(whose.xen as f64),
            linux: None,
            hypercalls: count("hypercalls").ok_or_else(bad)?,
            allocations: count("allocations").ok_or_else(bad)?,
            exact: false,
        };
        let ran: Ran = self.0.get(guest).map(|guest| guest.ran.clone()).unwrap_or_default();
        let sum: u64 = ran.iter().map(|(block, times)| block.len() as u64 * times).sum();
        if sum != whose.all() || !sane(row.ours) || whose.guest == 0 || whose.xen == 0 {
            return Err(format!("implausible boot: {whose:?}, and {sum} in blocks"));
        }
        Ok((row, ran))
    }

    /// Adds Xen's share to the rows that a guest printed in `lines`. `times` is how often a row's
    /// unit was done in a run.
    pub fn share(
        &self,
        rows: &mut [Row],
        lines: &[String],
        guest: usize,
        times: impl Fn(u32) -> u32,
    ) -> Result<(), String> {
        let windows = windows(lines);
        for row in rows {
            let window = windows.get(&row.op).ok_or_else(|| format!("no window of {}", row.op))?;
            let whose = self.between(guest, *window)?;
            let told = row.ours * f64::from(row.n) * f64::from(times(row.n));
            let all = whose.all() as f64;
            // Stuff that runs before the clock is read counts on one side only.
            if (all - told).abs() > told * NEAR {
                let op = &row.op;
                return Err(format!("{op}: {all} instructions ran, but the guest says {told:.0}"));
            }
            row.xen = Some(row.ours * whose.xen as f64 / all);
        }
        Ok(())
    }
}

/// The readings between which each operation's cheapest run was.
fn windows(lines: &[String]) -> BTreeMap<String, [u32; 2]> {
    let window = |line: &String| {
        line.starts_with("bench ").then_some(())?;
        let (from, to) = word(line, "window")?.split_once('-')?;
        Some((word(line, "op")?.to_owned(), [from.parse().ok()?, to.parse().ok()?]))
    };
    lines.iter().filter_map(window).collect()
}

/// The functions of a boot by their own instructions, the most expensive first.
pub fn functions(ran: &Ran, name: impl Fn(u64) -> String) -> Vec<(String, f64)> {
    let mut known: BTreeMap<u64, u64> = BTreeMap::new();
    for (block, times) in ran {
        block.iter().for_each(|at| *known.entry(*at).or_default() += times);
    }
    let mut own: BTreeMap<String, u64> = BTreeMap::new();
    for (at, times) in known {
        *own.entry(name(at)).or_default() += times;
    }
    let mut own: Vec<(String, f64)> =
        own.into_iter().map(|(name, count)| (name, count as f64)).collect();
    own.sort_by(|a, b| b.1.total_cmp(&a.1));
    own
}

/// The most expensive functions in lines of at most 80 columns.
pub fn list(functions: &[(String, f64)], most: usize) -> Vec<String> {
    let all: f64 = functions.iter().map(|(_, count)| count).sum();
    let mut lines = vec![format!("{:>12}{:>9}  where a boot goes", "instr.", "part")];
    for (name, count) in functions.iter().take(most) {
        let mut line = String::new();
        let name: String = name.chars().take(54).collect();
        // Writing to a String can't fail.
        let _ = write!(line, "{count:>12.0}{:>7.1} %  {name}", count / all * 100.0);
        lines.push(line);
    }
    lines
}

/// A key's value in a line of words.
fn word<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn mark(rest: &str) -> Option<(u64, Whose)> {
    let mut words = rest.split(' ');
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let mut count = || words.next()?.parse().ok();
    let whose = Whose { xen: count()?, guest: count()?, others: count()? };
    words.next().is_none().then_some((address, whose))
}

fn block(rest: &str) -> Option<(Vec<u64>, u64)> {
    let mut words = rest.split(' ');
    let times = words.next()?.parse().ok()?;
    let mut at = u64::from_str_radix(words.next()?, 16).ok()?;
    let mut addresses = Vec::new();
    for size in words.next()?.split(',') {
        addresses.push(at);
        at = at.checked_add(size.parse().ok()?)?;
    }
    words.next().is_none().then_some((addresses, times))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two guests, the second of which reads its clock twice more.
    const COUNT: &str = "mark 10 1000 0 900000\nran 2 10 3,2\nran 1 ffff 1\nmark 20 1001 4 900000\n\
                         mark 10 2000 4 990000\nran 3 10 3,2\nran 5 ffff 1\nmark 20 2005 10 990000\n\
                         mark 20 2105 20 990090\nmark 20 9999 9999 9";
    const BOOT: &str = "boot hypercalls=31 allocations=7";
    const ROW: &str = "bench op=vchan-trip n=1 calls=5 instr=100.000 xen=- hypercalls=4 \
                       allocations=0 window=1-2";

    fn lines(all: &[&str]) -> Vec<String> {
        all.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn the_cheapest_boot_counts_with_xens_share_and_its_hypercalls() {
        let counted = Counted::parse(COUNT, 0x10).unwrap();
        let (row, ran) = counted.boot(2, &lines(&[BOOT])).unwrap();
        assert_eq!((row.ours, row.xen, row.hypercalls, row.allocations), (5.0, Some(1.0), 31, 7));
        let name = |at: u64| if at < 0x100 { "guest" } else { "Xen" }.to_owned();
        let functions = functions(&ran, name);
        assert_eq!(functions, [("guest".to_owned(), 4.0), ("Xen".to_owned(), 1.0)]);
        assert!(list(&functions, 1)[1].ends_with("80.0 %  guest"));
    }

    #[test]
    fn a_boot_that_is_missing_or_contradicts_itself_is_an_error() {
        let counted = Counted::parse(COUNT, 0x10).unwrap();
        assert!(counted.boot(3, &lines(&[BOOT])).is_err());
        assert!(counted.boot(2, &lines(&["boot hypercalls=31"])).is_err());
        let other = Counted::parse(&COUNT.replace("ran 2", "ran 4"), 0x10).unwrap();
        assert!(other.boot(2, &lines(&[BOOT])).unwrap_err().contains("9 in blocks"));
        for (is, should_not_be) in [("mark 10 1000", "mark x"), ("3,2", "3,x"), ("ran 2 10", "?")] {
            assert!(Counted::parse(&COUNT.replace(is, should_not_be), 0x10).is_err());
        }
        assert!(Counted::parse(COUNT, 0x30).is_err());
    }

    #[test]
    fn xens_share_is_that_of_the_rows_own_window() {
        let counted = Counted::parse(COUNT, 0x10).unwrap();
        let said = lines(&[ROW, "ok bench rows=1"]);
        let mut rows = super::super::rows(&said).unwrap();
        counted.share(&mut rows, &said, 1, |_| 2).unwrap();
        assert_eq!(rows[0].xen, Some(50.0));
        assert!(counted.share(&mut rows, &said, 1, |_| 3).unwrap_err().contains("200 instr"));
        assert!(counted.share(&mut rows, &said, 0, |_| 2).is_err());
        assert_eq!(counted.mark(1, 2), Ok(4));
        assert!(counted.mark(1, 3).is_err());
    }
}
