// SPDX-License-Identifier: MIT OR Apache-2.0
//! `./run.sh bench --profile <row>`: where the instructions of one row go, by function.
//!
//! The guest runs twice: once to report between which clock readings the row's cheapest call was
//! made, and once with `lab/trace` in QEMU, which records what ran between them. In dom0's place both
//! runs are identical to the last instruction; two domains run a little differently, and what is
//! recorded is a whole run of round trips, or of a stream. The sum must match the guest's
//! measurement.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};

use super::plugin::{self, Plugin};
use super::{LIMIT, XEN, between, flame};
use crate::guests::image;
use crate::host::browser;
use crate::host::paths;
use crate::host::steps::{say, step};
use crate::judge::bench::counted::{self, Counted};
use crate::judge::profile::{self, Folded, Names, is_xens};
use crate::judge::tally::Tally;
use crate::lab::alone::{Boot, Machine};
use crate::lab::dom0::{self, Dom0};
use crate::lab::{Lab, apt, debian, qemu};
use crate::tiers::extent::Run;

/// Pages per call to try, if the row doesn't say.
const PAGES: [u32; 3] = [512, 32, 1];
/// Number of functions listed, of the guests and of Xen each.
const LISTED: usize = 16;

/// A row from the guest's output.
#[derive(Debug, PartialEq)]
struct Row {
    op: String,
    n: u32,
    instructions: f64,
    /// How often its unit was done between these readings.
    times: u32,
    /// Between which readings of the clock it was, counted from 1.
    window: [u32; 2],
}

impl Row {
    /// The number of its units, and what one is.
    fn units(&self) -> (f64, &'static str) {
        let units = f64::from(self.n) * f64::from(self.times);
        match (self.times, self.n) {
            (1, _) => (units, "a page"),
            (_, 1) => (units, "a trip"),
            _ => (units, "a byte"),
        }
    }
}

/// Makes the profile.
pub fn run(run: &Run, wanted: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    let place = Place::of(run, wanted)?;
    let plugin = step("build the plugin", || Plugin::build(place.kernel()))?;
    let (row, marks) = step("find the row", || place.find(&plugin, wanted))?;
    let made = step("profile", || made(&place, run.xen.is_none(), &plugin, &row, marks));
    tally.count(made.is_ok());
    if let Ok(page) = &made {
        tally.count(step("look at the page", || looked_at(page)).is_ok());
    }
    Ok(tally)
}

/// Where a row is measured.
enum Place {
    /// By a guest in dom0's place.
    Alone { kernel: PathBuf, xen: PathBuf },
    /// By guests that xl creates.
    Together { kernel: PathBuf, dom0: Dom0, with_linux: bool },
}

impl Place {
    fn of(run: &Run, wanted: &str) -> Result<Place> {
        let op = wanted.split('/').next().unwrap_or_default();
        if !between::measures(op) {
            let kernel = image::fast_guest(super::guest_of(op))?;
            let xen = step("prepare Xen", || qemu::prepare(run.xen.as_deref()))?;
            return Ok(Place::Alone { kernel, xen });
        }
        let trips = dom0::program_in_c(between::PROGRAM, "libxenvchan")?;
        let kernel = between::kernel()?;
        let dom0 = run.dom0(&[&[trips], &between::files(&kernel)?[..]].concat())?;
        Ok(Place::Together { kernel, dom0, with_linux: between::is_with_linux(op) })
    }

    fn kernel(&self) -> &Path {
        match self {
            Place::Alone { kernel, .. } | Place::Together { kernel, .. } => kernel,
        }
    }

    /// Returns the row, and between which of all marks it is.
    fn find(&self, plugin: &Plugin, wanted: &str) -> Result<(Row, [u64; 2])> {
        if let Place::Alone { .. } = self {
            let row = row(&self.lines(None)?, wanted)?;
            // The first mark is the guest's entry.
            let marks = row.window.map(u64::from);
            return Ok((row, marks));
        }
        let counts = plugin::file("counts.txt")?;
        let lines = self.lines(Some(&plugin.counts(&counts)))?;
        let text = fs::read_to_string(&counts).context("the plugin wrote nothing")?;
        let counted = Counted::parse(&text, plugin.entry).map_err(Error::msg)?;
        let guest = self.measuring();
        let row = if wanted == counted::BOOT {
            let (op, window) = (wanted.to_owned(), [0, 1]);
            let instructions = counted.between(guest, window).map_err(Error::msg)?.all() as f64;
            Row { op, n: 1, instructions, times: 1, window }
        } else {
            let mut row = row(&lines, wanted)?;
            row.times = between::times(row.n);
            row
        };
        let mark = |reading| counted.mark(guest, reading).map_err(Error::msg);
        let marks = [mark(row.window[0])?, mark(row.window[1])?];
        Ok((row, marks))
    }

    /// Which of the guests it creates measures.
    fn measuring(&self) -> usize {
        match self {
            Place::Together { with_linux: false, .. } => between::CONNECTS,
            _ => 0,
        }
    }

    /// Runs it with a plugin's option, and returns what the guest that measures printed.
    fn lines(&self, plugin: Option<&str>) -> Result<Vec<String>> {
        match (self, plugin) {
            (Place::Alone { kernel, xen }, plugin) => booted(kernel, xen, plugin),
            (Place::Together { dom0, with_linux, .. }, Some(plugin)) => {
                let mut lab = Lab::boot_counted(dom0, "profile", plugin)?;
                let work = if *with_linux { between::with_linux } else { between::guests };
                work(&mut lab).with_context(|| lab.excerpts())
            }
            (Place::Together { .. }, None) => bail!("needs a plugin"),
        }
    }
}

/// Boots the guest in dom0's place, with or without the plugin, and returns its lines.
fn booted(kernel: &Path, xen: &Path, plugin: Option<&str>) -> Result<Vec<String>> {
    let boot = Boot { xen, options: XEN, kernel, arguments: "", log: "profile", exact: true };
    let mut machine = match plugin {
        None => Machine::boot(&boot)?,
        Some(plugin) => Machine::boot_with(&boot, plugin)?,
    };
    let end = machine.run_to_end(LIMIT)?;
    end.by_itself().map_err(|why| anyhow!("{why}\n{}", machine.excerpt()))?;
    Ok(machine.console().guest())
}

/// The requested row: `<operation>`, or `<operation>/<pages>`.
fn row(lines: &[String], wanted: &str) -> Result<Row> {
    let (op, n) = match wanted.split_once('/') {
        Some((op, n)) => (op, Some(n.parse::<u32>()?)),
        None => (wanted, None),
    };
    let mut rows: Vec<Row> = lines.iter().filter_map(|line| parse(line)).collect();
    rows.retain(|row| row.op == op && row.window[0] > 0);
    let sizes: Vec<String> = rows.iter().map(|row| row.n.to_string()).collect();
    let at = |n: u32| rows.iter().position(|row| row.n == n);
    let found = match n {
        Some(n) => at(n),
        None => PAGES.into_iter().find_map(at).or((rows.len() == 1).then_some(0)),
    };
    match (found, sizes.is_empty()) {
        (Some(at), _) => Ok(rows.swap_remove(at)),
        (None, true) => bail!("`{op}` is no count of instructions that a guest makes"),
        (None, false) => bail!("no row `{wanted}`; {op} has calls of {}", sizes.join(", ")),
    }
}

fn parse(line: &str) -> Option<Row> {
    let value = |key: &str| {
        let of_key = |word: &str| Some(word.strip_prefix(key)?.strip_prefix('=')?.to_owned());
        line.strip_prefix("bench ")?.split(' ').find_map(of_key)
    };
    let window = value("window")?;
    let (from, to) = window.split_once('-')?;
    Some(Row {
        op: value("op")?,
        n: value("n")?.parse().ok()?,
        instructions: value("instr")?.parse().ok()?,
        times: 1,
        window: [from.parse().ok()?, to.parse().ok()?],
    })
}

fn made(
    place: &Place,
    debian: bool,
    plugin: &Plugin,
    row: &Row,
    marks: [u64; 2],
) -> Result<PathBuf> {
    let trace = plugin::file("trace.txt")?;
    let again = place.lines(Some(&plugin.records(marks, &trace)))?;
    if let Place::Alone { .. } = place {
        let same = again.iter().filter_map(|line| parse(line)).any(|other| other == *row);
        ensure!(same, "the second run was another than the first");
    }
    let text = fs::read_to_string(&trace).context("the plugin wrote nothing")?;
    let symbols = match debian.then(debian::xen_symbols) {
        Some(Ok(file)) => Some(fs::read_to_string(file)?),
        Some(Err(error)) => {
            say(&format!("        all of Xen is one function: {error:#}"));
            None
        }
        None => None,
    };
    let elf = fs::read(place.kernel())?;
    let names = Names::new(&elf, symbols.as_deref()).map_err(Error::msg)?;
    let folded = profile::fold(&text, |at| names.place(at)).map_err(Error::msg)?;
    let sum: u64 = folded.values().sum();
    for line in list(row, &folded) {
        say(&line);
    }
    // Reading the clock counts only in the sum.
    let (told, page) = (row.instructions * row.units().0, plugin::file("profile.html")?);
    let is_of_many = sum as f64 > told * 100.0;
    let near = (sum as f64 - told).abs() <= told * 0.05 + 200.0;
    ensure!(near || is_of_many, "{sum} instructions ran, and the guest counted {told:.0}");
    fs::write(&page, flame::page(&row.op, row.n, &folded))?;
    say(&format!("        {}: the same, drawn", paths::shown(&page)));
    Ok(page)
}

/// The most expensive functions, of the guests and of Xen, in lines of at most 80 columns.
fn list(row: &Row, folded: &Folded) -> Vec<String> {
    let sum: u64 = folded.values().sum();
    let (units, unit) = row.units();
    let line = |count: u64, what: &str| {
        let (each, part) = (count as f64 / units, count as f64 / sum as f64 * 100.0);
        // A byte of a stream takes less than one.
        let digits = if unit == "a byte" { 4 } else { 1 };
        format!("{each:>12.digits$}{part:>7.1} %  {what}")
    };
    let mut lines = vec![
        format!("{} n={}: {sum} instructions between two looks at the clock", row.op, row.n),
        format!("{unit:>12}{:>9}  function itself", "part"),
    ];
    let (xen, guests): (Vec<_>, Vec<_>) =
        profile::own(folded).into_iter().partition(|(name, _)| is_xens(name));
    for (who, own) in [("the guests", guests), ("Xen", xen)] {
        lines.push(line(own.iter().map(|(_, count)| count).sum(), &format!("all of {who}")));
        for (name, count) in own.iter().take(LISTED) {
            let name: String = name.chars().take(54).collect();
            lines.push(line(*count, &name));
        }
        let rest = own.iter().skip(LISTED);
        if rest.len() > 0 {
            let others = format!("{} others", rest.len());
            lines.push(line(rest.map(|(_, count)| count).sum(), &others));
        }
    }
    lines
}

fn looked_at(page: &Path) -> Result<()> {
    apt::installed(browser::BROWSER, &[browser::BROWSER])?;
    browser::look(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[&str], wanted: &str) -> Result<Row> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        row(&lines, wanted)
    }

    const LINES: [&str; 4] = [
        "bench op=map n=1 calls=7 instr=1499.000 xen=966.014 hypercalls=1 allocations=0 window=17-18",
        "bench op=map n=32 calls=7 instr=990.500 xen=- hypercalls=1 allocations=0 window=23-24",
        "bench op=heap-bytes n=9984 calls=1 instr=102.384 xen=- hypercalls=0 allocations=0 window=0-0",
        "ok bench rows=3",
    ];

    #[test]
    fn a_row_is_found_with_its_pages_or_the_most_usual() {
        assert_eq!(said(&LINES, "map").unwrap().window, [23, 24]);
        assert_eq!(said(&LINES, "map/1").unwrap().instructions, 1499.0);
    }

    #[test]
    fn what_is_no_row_is_answered_with_those_that_are() {
        let why = |wanted| said(&LINES, wanted).unwrap_err().to_string();
        assert_eq!(why("map/7"), "no row `map/7`; map has calls of 1, 32");
        assert_eq!(
            why("heap-bytes"),
            "`heap-bytes` is no count of instructions that a guest makes"
        );
    }

    #[test]
    fn the_list_fits_eighty_columns_and_says_what_it_leaves_out() {
        let mut folded = Folded::new();
        for at in 0..LISTED as u64 + 3 {
            let name = format!("{}{at}", "long::".repeat(20));
            folded.insert(vec!["caller".into(), name.into()], 1000 + at);
        }
        folded.insert(vec!["caller".into(), "Xen: schedule".into()], 9000);
        let row = said(&LINES, "map").unwrap();
        let lines = list(&row, &folded);
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        let at = |end: &str| lines.iter().position(|line| line.ends_with(end)).unwrap();
        assert!(at("all of the guests") < at("3 others") && at("3 others") < at("all of Xen"));
        assert!(lines.last().unwrap().ends_with("31.9 %  Xen: schedule"), "{lines:#?}");
    }

    #[test]
    fn what_is_done_often_is_told_each() {
        let folded = Folded::from([(vec!["send".into()], 4_000_000)]);
        let told = |n, times| {
            let row = Row { n, times, ..said(&LINES, "map").unwrap() };
            list(&row, &folded).swap_remove(2)
        };
        assert_eq!(told(1, 1000), "      4000.0  100.0 %  all of the guests");
        assert_eq!(told(1 << 20, 4), "      0.9537  100.0 %  all of the guests");
    }
}
