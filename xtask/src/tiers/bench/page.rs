// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report as a web page: `target/bench/report.html`, a self-contained file.
//!
//! Charts show the cost per page in calls of more and more pages, with Xen's share and Linux's
//! devices for comparison, and with more and more live grants. Bars show what two domains do
//! together. Then come the parts of the image, and a table.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Parts;
use super::plot::{self, Bar, Series, number};
use crate::judge::bench::{Row, Trips};
use crate::judge::html::escaped;

/// The operations drawn against the number of pages in a call.
const DRAWN: [(&str, &str); 4] = [
    ("share", "Sharing a page"),
    ("map", "Mapping a page"),
    ("unmap", "Unmapping a page"),
    ("end", "Ending a share"),
];
/// The operations drawn against the number of live grants.
const LIVE: [(&str, &str); 3] =
    [("share-live-", "share"), ("reserve-live-", "reserve"), ("map-live-", "map")];
/// What two domains do over a channel: how their rows end, a title, and the unit.
const TOGETHER: [(&str, &str, &str); 4] = [
    ("trip", "A byte there and one back", "instructions of both ends"),
    ("stream-64", "A stream, 64 bytes a message", PER_BYTE),
    ("stream-4096", "A stream, 4 KiB a message", PER_BYTE),
    ("stream-65536", "A stream, 64 KiB a message", PER_BYTE),
];
const PER_BYTE: &str = "instructions per byte, of both ends";
/// The most columns that are drawn of a histogram.
const COLUMNS: usize = 20;
/// The functions of a boot that are drawn, and the letters of their names.
const FUNCTIONS: usize = 12;
const LETTERS: usize = 16;
const STYLE: &str = include_str!("page.css");

/// Returns the page.
pub fn page(
    rows: &[Row],
    trips: &Trips,
    boot: &Parts,
    environment: &BTreeMap<&'static str, String>,
    image: &Parts,
) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta \
         name=\"viewport\" content=\"width=device-width\">\n<title>What Grantkit costs</title>\n\
         <style>\n{STYLE}</style></head>\n<body><h1>What Grantkit costs</h1>\n"
    );
    let add = |html: &mut String, text: &str| html.push_str(text);
    add(
        &mut html,
        "<p>Instructions, the hypervisor's included, counted by QEMU's icount. Wall time in an \
         emulator says nothing about hardware; these figures are not times.</p>\n<p class=\"legend\">\
         <span class=\"ours\">Grantkit</span> <span class=\"xen\">Xen's share in it</span> \
         <span class=\"linux\">Linux's devices in dom0</span></p>\n<h2>Per page, in calls of N \
         pages</h2>\n<div class=\"plots\">\n",
    );
    for (op, title) in DRAWN {
        add(&mut html, &against_pages(rows, op, title));
    }
    add(&mut html, "</div>\n<h2>With many grants live</h2>\n<div class=\"plots\">\n");
    for (start, op) in LIVE {
        let title = format!("{op}, 32 pages in a call");
        add(&mut html, &against_live(rows, start, &title));
    }
    add(&mut html, "</div>\n<h2>Between two domains</h2>\n<div class=\"plots\">\n");
    for (end, title, below) in TOGETHER {
        add(&mut html, &plot::coloured(title, below, &together(rows, end)));
    }
    let below = "round trips by instructions, each column 100 wide";
    add(&mut html, &plot::bars("Events between two guests", below, &columns(trips)));
    add(&mut html, "</div>\n<h2>Boot and image</h2>\n<div class=\"plots\">\n");
    let below = "instructions from the entry to the application, by function, in 16 MiB";
    add(&mut html, &plot::coloured("What a boot consists of", below, &booted(boot)));
    let below = "bytes of memory that the shell's image takes, by crate";
    add(&mut html, &plot::bars("What the image consists of", below, image));
    add(&mut html, "</div>\n<h2>Every row</h2>\n");
    add(&mut html, &table(rows));
    add(&mut html, "<h2>Measured on</h2>\n<dl>\n");
    for (key, value) in environment {
        // Writing to a String can't fail.
        let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escaped(key), escaped(value));
    }
    add(&mut html, "</dl>\n</body></html>\n");
    html
}

fn against_pages(rows: &[Row], op: &str, title: &str) -> String {
    let of_op = || rows.iter().filter(|row| row.op == op);
    let series = |class, figure: fn(&Row) -> Option<f64>| {
        let mut points: Vec<(f64, f64)> =
            of_op().filter_map(|row| Some((f64::from(row.n), figure(row)?))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Series { class, points }
    };
    let all = [
        series("linux", |row| row.linux),
        series("xen", |row| row.xen),
        series("ours", |row| Some(row.ours)),
    ];
    plot::lines(title, "instructions per page; pages in a call", &all)
}

fn against_live(rows: &[Row], start: &str, title: &str) -> String {
    let point = |row: &Row| Some((row.op.strip_prefix(start)?.parse().ok()?, row.ours));
    let points = rows.iter().filter_map(point).collect();
    let series = Series { class: "ours", points };
    plot::lines(title, "instructions per page; live grants", &[series])
}

/// One guest, two, one and Linux, and Linux alone.
fn together(rows: &[Row], end: &str) -> Vec<Bar> {
    let find = |op: String| rows.iter().find(|row| row.op == op);
    let single = find(format!("loop-{end}"));
    let (ours, mixed) = (find(format!("vchan-{end}")), find(format!("vchan-linux-{end}")));
    let alone = ours.and_then(|row| row.linux);
    let bar = |class, name: &str, value| (class, name.to_owned(), value);
    let bars = [
        single.map(|row| bar("ours", "in one guest", row.ours)),
        ours.map(|row| bar("ours", "two guests", row.ours)),
        mixed.map(|row| bar("xen", "guest and dom0", row.ours)),
        alone.map(|figure| bar("linux", "dom0 alone", figure)),
    ];
    bars.into_iter().flatten().collect()
}

/// The histogram's columns, the last of which has the rest if there are too many.
fn columns(trips: &Trips) -> Vec<(String, f64)> {
    let (shown, rest) = trips.split_at(trips.len().min(COLUMNS));
    let mut columns: Vec<(String, f64)> =
        shown.iter().map(|(from, count)| (number((*from).into()), (*count).into())).collect();
    let sum: f64 = rest.iter().map(|(_, count)| f64::from(*count)).sum();
    columns.extend((sum > 0.0).then(|| ("more".to_owned(), sum)));
    columns
}

/// The most expensive functions of a boot, and the rest as one.
fn booted(functions: &Parts) -> Vec<Bar> {
    let class = |name: &str| if name == "Xen" { "xen" } else { "ours" };
    let bar = |(name, count): &(String, f64)| (class(name), shortened(name), *count);
    let (shown, rest) = functions.split_at(functions.len().min(FUNCTIONS));
    let rest: f64 = rest.iter().map(|(_, count)| count).sum();
    let rest = (rest > 0.0).then(|| ("ours", "the rest".to_owned(), rest));
    shown.iter().map(bar).chain(rest).collect()
}

/// A function's name as its bar has room for: without its module, and no longer than that.
fn shortened(name: &str) -> String {
    let own = name.rsplit("::").take(2).collect::<Vec<_>>();
    let own: String = own.into_iter().rev().collect::<Vec<_>>().join("::");
    match own.char_indices().nth(LETTERS) {
        None => own,
        Some(_) => own.chars().take(LETTERS - 1).chain(['…']).collect(),
    }
}

/// A table of all rows.
fn table(rows: &[Row]) -> String {
    let mut html =
        "<table><thead><tr><th>operation<th>N<th>Grantkit<th>Xen<th>Linux</tr></thead>\n\
                    <tbody>\n"
            .to_owned();
    for row in rows {
        let figure = |figure: Option<f64>| figure.map_or("-".to_owned(), number);
        let (xen, linux) = (figure(row.xen), figure(row.linux));
        let (op, ours) = (escaped(&row.op), number(row.ours));
        // Writing to a String can't fail.
        let _ = writeln!(html, "<tr><td>{op}<td>{}<td>{ours}<td>{xen}<td>{linux}</tr>", row.n);
    }
    html + "</tbody></table>\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;

    use super::*;
    use crate::host::{browser, paths};

    fn row(op: &str, n: u32, ours: f64) -> Row {
        let (xen, linux) = (Some(ours * 0.9), Some(ours * 40.0));
        let (hypercalls, allocations, exact) = (1, 0, true);
        Row { op: op.to_owned(), n, ours, xen, linux, hypercalls, allocations, exact }
    }

    #[test]
    fn a_page_of_many_rows_has_nothing_that_overlaps_or_is_cut_off() {
        let mut rows = Vec::new();
        for (op, _) in DRAWN {
            let sizes = [1, 2, 8, 32, 33, 128, 512, 1024];
            rows.extend(sizes.map(|n| row(op, n, 900.0 + 12_345.0 / f64::from(n))));
        }
        for live in ["256", "1024", "4096", "9984"] {
            rows.extend(LIVE.map(|(start, _)| row(&format!("{start}{live}"), 32, 1234.5)));
        }
        let image = ["drivers", "embassy_executor"].map(|of| (of.to_owned(), 123_456.0)).into();
        let environment = BTreeMap::from([("guest", "a long line of words ".repeat(8))]);
        for (end, ..) in TOGETHER {
            rows.extend(
                ["loop-", "vchan-", "vchan-linux-"]
                    .map(|start| row(&format!("{start}{end}"), 1, 0.43)),
            );
        }
        let trips = (0..30).map(|at| (10_000 + 100 * at, 4990 - 100 * at)).collect();
        let boot =
            ["Xen", "metal::memory::Frames::init_of_many", "protect::Changes::change", "memset"];
        let boot = (0..20).map(|at| (boot[at % 4].to_owned(), 123_456.0)).collect();
        let html = page(&rows, &trips, &boot, &environment, &image);
        let figures = DRAWN.len() + LIVE.len() + TOGETHER.len() + 3;
        assert_eq!(html.matches("<svg").count(), figures);
        if Command::new(browser::BROWSER).arg("--version").output().is_err() {
            eprintln!("NOT RUN: there is no {}", browser::BROWSER);
            return;
        }
        let file = paths::lab().join("test-page.html");
        std::fs::create_dir_all(paths::lab()).unwrap();
        std::fs::write(&file, html).unwrap();
        browser::look(&file).unwrap();
    }
}
