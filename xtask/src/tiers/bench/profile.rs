// SPDX-License-Identifier: MIT OR Apache-2.0
//! `./run.sh bench --profile <row>`: where the instructions of one row go, by function.
//!
//! The guest runs twice, identically to the last instruction: once to report at which clock reading
//! the row's cheapest call was made, and once with `lab/trace` in QEMU, which records what ran
//! between that reading and the next. The sum must match the guest's measurement.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};

use super::{LIMIT, XEN, flame};
use crate::host::steps::{say, step};
use crate::host::{browser, cargo, paths};
use crate::judge::profile::{self, Folded, Names};
use crate::judge::tally::Tally;
use crate::lab::alone::{Boot, Machine};
use crate::lab::{apt, debian};
use crate::panics::elf::Image;

/// Pages per call to try, if the row doesn't say.
const PAGES: [u32; 3] = [512, 32, 1];
/// Number of functions listed.
const LISTED: usize = 24;
/// The target of this program and of the plugin.
const HOST: &str = "x86_64-unknown-linux-gnu";

/// A row from the guest's output.
#[derive(Debug, PartialEq)]
struct Row {
    op: String,
    n: u32,
    instructions: f64,
    window: u64,
}

/// Makes the profile; `debian`: the hypervisor is Debian's, whose symbols are available.
pub fn run(kernel: &Path, xen: &Path, debian: bool, wanted: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    let plugin = step("build the plugin", plugin)?;
    let lines = step("find the row", || booted(kernel, xen, None))?;
    let row = row(&lines, wanted)?;
    let made = step("profile", || made(kernel, xen, debian, &plugin, &row));
    tally.count(made.is_ok());
    if let Ok(page) = &made {
        tally.count(step("look at the page", || looked_at(page)).is_ok());
    }
    Ok(tally)
}

/// Builds `lab/trace`.
fn plugin() -> Result<PathBuf> {
    cargo::release("build-trace", HOST, &["-p", "trace"])?;
    Ok(paths::target().join(HOST).join("release/libtrace.so"))
}

/// Boots the guest, with or without the plugin, and returns its lines.
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
    rows.retain(|row| row.op == op && row.window > 0);
    let sizes: Vec<String> = rows.iter().map(|row| row.n.to_string()).collect();
    let at = |n: u32| rows.iter().position(|row| row.n == n);
    let found = match n {
        Some(n) => at(n),
        None => PAGES.into_iter().find_map(at),
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
    Some(Row {
        op: value("op")?,
        n: value("n")?.parse().ok()?,
        instructions: value("instr")?.parse().ok()?,
        window: value("window")?.parse().ok()?,
    })
}

fn made(kernel: &Path, xen: &Path, debian: bool, plugin: &Path, row: &Row) -> Result<PathBuf> {
    let folder = paths::target().join("bench");
    fs::create_dir_all(&folder)?;
    let trace = folder.join("trace.txt");
    let _ = fs::remove_file(&trace);
    let mark = mark(kernel)?;
    let first = 2 * (row.window - 1);
    let (file, to) = (plugin.display(), trace.display());
    let again =
        booted(kernel, xen, Some(&format!("file={file},mark={mark:x},first={first},to={to}")))?;
    let same = again.iter().filter_map(|line| parse(line)).any(|other| other == *row);
    ensure!(same, "the second run was another than the first");
    let text = fs::read_to_string(&trace).context("the plugin wrote nothing")?;
    let symbols = match debian.then(debian::xen_symbols) {
        Some(Ok(file)) => Some(fs::read_to_string(file)?),
        Some(Err(error)) => {
            say(&format!("        all of Xen is one function: {error:#}"));
            None
        }
        None => None,
    };
    let elf = fs::read(kernel)?;
    let names = Names::new(&elf, symbols.as_deref()).map_err(Error::msg)?;
    let folded = profile::fold(&text, |at| names.place(at)).map_err(Error::msg)?;
    let sum: u64 = folded.values().sum();
    for line in list(row, &folded) {
        say(&line);
    }
    // Reading the clock counts only in the sum.
    let (told, page) = (row.instructions * f64::from(row.n), folder.join("profile.html"));
    let is_of_many = sum as f64 > told * 100.0;
    let near = (sum as f64 - told).abs() <= told * 0.05 + 200.0;
    ensure!(near || is_of_many, "{sum} instructions ran, and the guest counted {told:.0}");
    fs::write(&page, flame::page(&row.op, row.n, &folded))?;
    say(&format!("        {}: the same, drawn", paths::shown(&page)));
    Ok(page)
}

/// Where the guest reads its clock.
fn mark(kernel: &Path) -> Result<u64> {
    let image = Image::read(kernel)?;
    let mut found = image.functions.iter().filter(|(_, of)| of.name.ends_with("5bench5ticks"));
    let mark = found.next().context("the guest has no function `ticks`")?;
    Ok(*mark.0)
}

/// The most expensive functions, in lines of at most 80 columns.
fn list(row: &Row, folded: &Folded) -> Vec<String> {
    let sum: u64 = folded.values().sum();
    let pages = f64::from(row.n);
    let mut lines = vec![
        format!("{} n={}: {sum} instructions between two looks at the clock", row.op, row.n),
        format!("{:>12}{:>9}  function itself", "a page", "part"),
    ];
    let own = profile::own(folded);
    for (name, count) in own.iter().take(LISTED) {
        let (each, part) = (*count as f64 / pages, *count as f64 / sum as f64 * 100.0);
        let name: String = name.chars().take(54).collect();
        lines.push(format!("{each:>12.1}{part:>7.1} %  {name}"));
    }
    let rest: u64 = own.iter().skip(LISTED).map(|(_, count)| count).sum();
    if rest > 0 {
        let (each, part) = (rest as f64 / pages, rest as f64 / sum as f64 * 100.0);
        lines.push(format!("{each:>12.1}{part:>7.1} %  {} others", own.len() - LISTED));
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
        "bench op=map n=1 calls=7 instr=1499.000 xen=966.014 hypercalls=1 allocations=0 window=9",
        "bench op=map n=32 calls=7 instr=990.500 xen=- hypercalls=1 allocations=0 window=12",
        "bench op=heap-bytes n=9984 calls=1 instr=102.384 xen=- hypercalls=0 allocations=0 window=0",
        "ok bench rows=3",
    ];

    #[test]
    fn a_row_is_found_with_its_pages_or_the_most_usual() {
        assert_eq!(said(&LINES, "map").unwrap().window, 12);
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
        let row = said(&LINES, "map").unwrap();
        let lines = list(&row, &folded);
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        assert!(lines.last().unwrap().ends_with("3 others"));
    }
}
