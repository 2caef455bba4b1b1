// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the report: a table for people, `target/bench/report.json` with every row, and the page.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::plot::number;
use super::{Parts, page};
use crate::guests::{image, parts};
use crate::host::steps::{logged, say};
use crate::host::{children, paths};
use crate::judge::bench::{Law, Row, Trips};
use crate::lab::qemu;

/// What the rows were measured on.
pub struct Environment(BTreeMap<&'static str, String>);

impl Environment {
    /// Takes it from what Xen printed, and the versions of the tools.
    pub fn of(xen: &[String]) -> Result<Environment> {
        let after = |mark: &str| {
            let line = xen.iter().find_map(|line| line.split_once(mark));
            line.map(|(_, rest)| rest.trim().to_owned())
                .with_context(|| format!("no {mark} of Xen"))
        };
        let mut rustc = children::command("rustc");
        rustc.arg("-V");
        let rustc = logged("rustc-version", rustc, super::LIMIT)?;
        let word = |text: &str, at| text.split(' ').nth(at).unwrap_or("?").trim().to_owned();
        Ok(Environment(BTreeMap::from([
            ("xen", word(&after("Xen version ")?, 0)),
            ("xpti", after("XPTI (64-bit PV only): ")?),
            ("qemu", qemu::version()?),
            ("rustc", word(&rustc, 1)),
            ("cpu", qemu::CPU.to_owned()),
            ("icount", qemu::ICOUNT.to_owned()),
            ("guest", "PV, in dom0's place; application and drivers at opt-level 3".to_owned()),
        ])))
    }
}

impl Environment {
    /// The versions that instruction counts depend on.
    pub fn versions(&self) -> String {
        let version = |key| format!("{key}={}", self.0.get(key).map_or("?", String::as_str));
        ["xen", "qemu", "rustc"].map(version).join(" ")
    }
}

/// Removes the report of an earlier run, which must not pass for this one's.
pub fn forget() {
    for name in ["report.json", "report.html", "report.png"] {
        let _ = fs::remove_file(paths::target().join("bench").join(name));
    }
}

/// Writes the files, and returns the page's path.
pub fn write(
    rows: &[Row],
    trips: &Trips,
    boot: &Parts,
    environment: &Environment,
) -> Result<PathBuf> {
    let all: Vec<Value> = rows.iter().map(of_row).collect();
    let columns: Vec<Value> =
        trips.iter().map(|(from, count)| json!({ "from": from, "count": count })).collect();
    let functions: Vec<Value> =
        boot.iter().map(|(name, count)| json!({ "function": name, "ours": count })).collect();
    let report = json!({
        "environment": environment.0,
        "rows": all,
        "round_trips": columns,
        "boot": functions,
    });
    let folder = paths::target().join("bench");
    fs::create_dir_all(&folder)?;
    let keep = |name: &str, what: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", paths::shown(&path)))?;
        say(&format!("        {}: {what}", paths::shown(&path)));
        anyhow::Ok(path)
    };
    keep("report.json", "every row", &serde_json::to_string_pretty(&report)?)?;
    let image = parts::of(&paths::image().join("grantkit"))?;
    let html = page::page(rows, trips, boot, &environment.0, &image);
    keep("report.html", "the same, drawn", &html)
}

/// Rows that no guest can measure: the memory that images take.
pub fn images() -> Result<Vec<Row>> {
    let hello = image::guest("hello")?;
    let shell = image::takes(&paths::image().join("grantkit"))?;
    Ok(vec![
        Row::of_bytes("image-shell", shell),
        Row::of_bytes("image-hello", image::takes(&hello)?),
    ])
}

fn of_row(row: &Row) -> Value {
    json!({
        "op": row.op,
        "n": row.n,
        "ours": row.ours,
        "xen": row.xen,
        "linux": row.linux,
        "hypercalls": row.hypercalls,
        "allocations": row.allocations,
        "exact": row.exact,
    })
}

/// The table: instructions per page, one line per operation.
pub fn table(rows: &[Row]) -> Vec<String> {
    let mut ops: Vec<&str> = Vec::new();
    for row in rows {
        if !ops.contains(&row.op.as_str()) {
            ops.push(&row.op);
        }
    }
    let head = format!(
        "  {:<25}{:>10}{:>10}{:>10}{:>10}{:>12}  a call of N pages; residual",
        "instr. per page", "N=1", "N=32", "N=512", "Xen, 512", "Linux, 512"
    );
    let lines = ops.iter().map(|op| {
        let of_op: Vec<&Row> = rows.iter().filter(|row| row.op == *op).collect();
        line(op, &of_op)
    });
    [head].into_iter().chain(lines).collect()
}

fn line(op: &str, rows: &[&Row]) -> String {
    if let [row] = rows {
        let beside = |whose, figure: Option<f64>| {
            figure.map_or(String::new(), |figure| format!("  ({whose} {})", number(figure)))
        };
        let of = if row.n == 1 { String::new() } else { format!("  (N={})", row.n) };
        let (xen, linux) = (beside("Xen", row.xen), beside("Linux", row.linux));
        return format!("  {op:<25}{:>10}{of}{xen}{linux}", number(row.ours));
    }
    let at = |n| rows.iter().find(|row| row.n == n);
    let shown =
        |figure: Option<f64>| figure.map_or("-".to_owned(), |figure| format!("{figure:.0}"));
    let [one, few, many] = [1, 32, 512].map(|n| shown(at(n).map(|row| row.ours)));
    let xen = shown(at(512).and_then(|row| row.xen));
    let linux = shown(at(512).and_then(|row| row.linux));
    let law = Law::of(rows).map_or(String::new(), |law| {
        format!(
            "  {:.0} + {:.1} N + {:.0} ceil(N/32); {:.0}",
            law.fixed, law.page, law.flush, law.residual
        )
    });
    format!("  {op:<25}{one:>10}{few:>10}{many:>10}{xen:>10}{linux:>12}{law}")
}
