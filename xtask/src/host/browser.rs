// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks a page's layout: Debian's `chromium-headless-shell` lays it out at a narrow and a wide
//! width, and a script inspects every box.
//!
//! The page is put into frames, one per width, because the browser's own window has a minimum
//! width. Nothing may overlap, be cut off or be wider than the frame. The browser has no network
//! access.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::steps::logged;
use super::{children, paths};

/// The browser, in Debian's package of the same name.
pub const BROWSER: &str = "chromium-headless-shell";
/// Frame widths in pixels: a phone, and a desktop.
const WIDTHS: [u32; 2] = [390, 1280];
/// How long one page may take.
const LIMIT: Duration = Duration::from_secs(120);
/// The script that finds faults.
const SCRIPT: &str = include_str!("browser/look.js");

/// Checks a page; fails with its faults.
pub fn look(page: &Path) -> Result<()> {
    let shown = paths::shown(page);
    let html = fs::read_to_string(page).with_context(|| format!("no {shown}"))?;
    let faults = faults(&html, "look")?;
    ensure!(faults.is_empty(), "{shown}: {}", faults.join("; "));
    Ok(())
}

/// The faults of a page, one line each; `name` names the files this needs.
fn faults(html: &str, name: &str) -> Result<Vec<String>> {
    let around = paths::lab().join(format!("{name}.html"));
    fs::create_dir_all(paths::lab())?;
    fs::write(&around, framed(html))?;
    let dump = dumped(&around, &["--dump-dom"], name)?;
    let (_, rest) = dump.split_once("<pre id=\"found\">").context("the browser dumped no page")?;
    let (found, _) = rest.split_once("</pre>").context("the browser dumped half a page")?;
    let mut lines = found.lines().map(str::to_owned);
    // The script writes its first line when it has finished: the number of boxes it inspected.
    let first = lines.next().unwrap_or_default();
    let looked = first.strip_prefix("boxes ").and_then(|boxes| boxes.parse::<u32>().ok());
    ensure!(looked.is_some_and(|boxes| boxes > 0), "the browser saw nothing: {found}");
    Ok(lines.collect())
}

/// Takes a screenshot of the upper part of a page.
pub fn picture(page: &Path, to: &Path, width: u32, height: u32) -> Result<()> {
    let (file, size) = (to.display(), format!("--window-size={width},{height}"));
    dumped(page, &[&format!("--screenshot={file}"), &size, "--hide-scrollbars"], "picture")?;
    ensure!(to.exists(), "the browser drew no {}", paths::shown(to));
    Ok(())
}

fn dumped(page: &Path, wanted: &[&str], log: &str) -> Result<String> {
    let home = paths::lab().join("browser");
    let mut browser = children::command(BROWSER);
    // Chromium has no sandbox as root; the page is our own.
    browser.args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    browser.args(["--virtual-time-budget=5000", "--host-resolver-rules=MAP * ~NOTFOUND"]);
    browser.arg(format!("--user-data-dir={}", home.display())).args(wanted);
    browser.arg(format!("file://{}", page.display()));
    logged(&format!("browser-{log}"), browser, LIMIT)
}

/// A page with `html` in a frame of each width, and the script.
fn framed(html: &str) -> String {
    let quoted = html.replace('&', "&amp;").replace('"', "&quot;");
    let frames = WIDTHS.map(|width| {
        format!("<iframe width=\"{width}\" height=\"4000\" srcdoc=\"{quoted}\"></iframe>\n")
    });
    format!(
        "<!doctype html><meta charset=\"utf-8\"><style>iframe {{ border: 0 }}</style>\n{}\
         <pre id=\"found\"></pre><script>{SCRIPT}</script>\n",
        frames.concat()
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn page(body: &str) -> String {
        format!("<!doctype html><meta charset=\"utf-8\"><body style=\"margin:0\">{body}")
    }

    #[test]
    fn overlapping_cut_off_and_too_wide_boxes_are_found() {
        if Command::new(BROWSER).arg("--version").output().is_err() {
            eprintln!("NOT RUN: there is no {BROWSER}; apt-get install {BROWSER}");
            return;
        }
        let svg = |inside: &str| page(&format!("<svg viewBox=\"0 0 300 100\">{inside}</svg>"));
        let found = |html: &str, name| faults(html, &format!("test-{name}")).unwrap();
        let good = svg("<text x=\"10\" y=\"20\">one</text><text x=\"10\" y=\"60\">two</text>");
        assert_eq!(found(&good, "good"), [""; 0]);
        for (name, bad, word) in [
            (
                "over",
                svg("<text x=\"9\" y=\"20\">one</text><text x=\"9\" y=\"25\">two</text>"),
                "overlaps",
            ),
            ("cut", svg("<text x=\"290\" y=\"20\">beyond the edge</text>"), "cut off"),
            ("wide", page("<p style=\"width:1000px\">wide</p>"), "wider"),
            ("hidden", page("<p style=\"width:9px;overflow:hidden\">hidden</p>"), "cut off"),
        ] {
            let found = found(&bad, name);
            assert!(found.iter().any(|line| line.contains(word)), "{name}: {found:?}");
        }
    }
}
