// SPDX-License-Identifier: MIT OR Apache-2.0
//! Draws a profile: `target/bench/profile.html`, self-contained.
//!
//! A box is a function, as wide as the instructions of it and its callees, which are drawn below
//! it. Boxes too narrow for their names show them as a tooltip. A table lists the most expensive
//! functions.

use std::fmt::Write;
use std::rc::Rc;

use super::plot::number;
use crate::judge::html::escaped;
use crate::judge::profile::{Folded, own};

/// The drawing's width, and a box's height.
const WIDTH: f64 = 1176.0;
const HEIGHT: f64 = 18.0;
/// Narrower boxes are left out.
const LEAST: f64 = 0.5;
/// The width of a letter, the widest common one.
const LETTER: f64 = 7.4;
/// Rows of the table.
const LISTED: usize = 40;
const STYLE: &str = "body { margin: 0 auto; max-width: 1200px; padding: 12px; background: #fff; \
    color: #222; font: 15px/1.45 system-ui, sans-serif; }\nh1 { font-size: 22px; }\n\
    svg { display: block; width: 100%; height: auto; }\nsvg text { font: 11px system-ui, sans-serif; }\n\
    rect { stroke: #fff; stroke-width: 0.6; }\nrect.ours { fill: #8fd0b4; }\nrect.xen { fill: #d3d5d8; }\n\
    table { border-collapse: collapse; font-size: 13px; width: 100%; max-width: 760px; table-layout: fixed; }\n\
    td, th { padding: 2px 6px; text-align: right; border-bottom: 1px solid #eee; width: 90px; }\n\
    td:last-child, th:last-child { text-align: left; width: auto; overflow-wrap: anywhere; }\n";

/// A function in its place in the call tree, with its callees there.
#[derive(Default)]
struct Node {
    count: u64,
    below: Vec<(Rc<str>, Node)>,
}

impl Node {
    fn add(&mut self, stack: &[Rc<str>], count: u64) {
        self.count += count;
        let Some((first, rest)) = stack.split_first() else { return };
        let known = self.below.iter().position(|(name, _)| name == first);
        let at = known.unwrap_or_else(|| {
            self.below.push((first.clone(), Node::default()));
            self.below.len() - 1
        });
        self.below[at].1.add(rest, count);
    }

    fn depth(&self, scale: f64) -> usize {
        let drawn = self.below.iter().filter(|(_, node)| node.count as f64 * scale >= LEAST);
        drawn.map(|(_, node)| 1 + node.depth(scale)).max().unwrap_or(0)
    }

    fn draw(&self, svg: &mut String, left: f64, row: usize, scale: f64, all: u64) {
        let mut left = left;
        for (name, node) in &self.below {
            let wide = node.count as f64 * scale;
            if wide >= LEAST {
                let class = if name.starts_with("Xen") { "xen" } else { "ours" };
                let top = row as f64 * HEIGHT;
                let part = node.count as f64 / all as f64 * 100.0;
                let (said, count) = (escaped(name), number(node.count as f64));
                // Writing to a String can't fail.
                let _ = write!(
                    svg,
                    r#"<g><title>{said}: {count}, {part:.1} %</title><rect class="{class}" x="{left:.1}" y="{top}" width="{wide:.1}" height="{HEIGHT}"/>"#
                );
                if name.chars().count() as f64 * LETTER + 8.0 <= wide {
                    let (x, y) = (left + 4.0, top + 13.0);
                    let _ = write!(svg, r#"<text x="{x:.1}" y="{y}">{said}</text>"#);
                }
                svg.push_str("</g>\n");
                node.draw(svg, left, row + 1, scale, all);
            }
            left += wide;
        }
    }
}

/// The page.
pub fn page(op: &str, n: u32, folded: &Folded) -> String {
    let mut all = Node::default();
    for (stack, count) in folded {
        all.add(stack, *count);
    }
    let scale = WIDTH / all.count.max(1) as f64;
    let title = format!("{op}, a call of {n}: {} instructions", number(all.count as f64));
    let (title, height) = (escaped(&title), HEIGHT * (all.depth(scale) + 1) as f64);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta \
         name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style></head>\n<body><h1>{title}</h1>\n<p>A box is as wide as what the \
         function and all that it calls take; what it calls is below it. Grey is Xen's.</p>\n\
         <svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\n"
    );
    all.draw(&mut html, 0.0, 0, scale, all.count);
    html.push_str("</svg>\n<table><tr><th>each<th>part<th>function itself</tr>\n");
    for (name, count) in own(folded).iter().take(LISTED) {
        let each = number(*count as f64 / f64::from(n));
        let part = *count as f64 / all.count as f64 * 100.0;
        let name = escaped(name);
        let _ = writeln!(html, "<tr><td>{each}<td>{part:.1} %<td>{name}</tr>");
    }
    html + "</table>\n</body></html>\n"
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::host::{browser, paths};

    fn made() -> Folded {
        let stack = |names: &str| names.split(';').map(Rc::from).collect::<Vec<Rc<str>>>();
        [
            ("main;typed::Reservation<a>::map", 300),
            ("main;typed::Reservation<a>::map;Xen: do_grant_table_op", 60_000),
            ("main;typed::Reservation<a>::map;Xen: do_grant_table_op;Xen: map_grant_ref", 9_000),
            ("main;memcpy", 2),
        ]
        .into_iter()
        .map(|(names, count)| (stack(names), count))
        .collect()
    }

    #[test]
    fn a_box_is_as_wide_as_its_part_and_names_are_escaped() {
        let html = page("map", 64, &made());
        assert!(html.contains("<title>Xen: map_grant_ref: 9,000, 13.0 %</title>"), "{html}");
        assert!(html.contains(r#"class="xen" x="0.0" y="54" width="152.7""#), "{html}");
        assert!(html.contains("Reservation&lt;a&gt;::map") && !html.contains("<a>"));
        // 2 of 69,302 are too narrow to be drawn.
        assert!(!html.contains("<title>memcpy"));
    }

    #[test]
    fn the_page_has_nothing_that_overlaps_or_is_cut_off() {
        if Command::new(browser::BROWSER).arg("--version").output().is_err() {
            eprintln!("NOT RUN: there is no {}", browser::BROWSER);
            return;
        }
        let file = paths::lab().join("test-profile.html");
        std::fs::create_dir_all(paths::lab()).unwrap();
        std::fs::write(&file, page("map", 64, &made())).unwrap();
        browser::look(&file).unwrap();
    }
}
