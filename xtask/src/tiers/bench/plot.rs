// SPDX-License-Identifier: MIT OR Apache-2.0
//! Draws plain SVG: line charts with two logarithmic axes, and bar charts.
//!
//! A drawing is as wide as its column and scales with it, so that text is never cut off. Numbers
//! are our own; text is escaped.

use std::fmt::Write;

use crate::judge::html::escaped;

/// The drawing's size in its own units.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 230.0;
/// The margins, with room for the axes' labels.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 22.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;
/// The least distance between two numbers under an axis.
const APART: f64 = 30.0;
/// The height of a bar and the space below it.
const BAR: f64 = 22.0;
/// Where bars start, and the length of the longest.
const BAR_LEFT: f64 = 112.0;
const BAR_WIDTH: f64 = 170.0;

/// One line of a chart.
pub struct Series {
    /// Whose line it is: a class of the page's style sheet.
    pub class: &'static str,
    /// The points, sorted by `x`; both coordinates are above 0.
    pub points: Vec<(f64, f64)>,
}

/// A bar: whose it is (a class of the page's style sheet), its name, and its value.
pub type Bar = (&'static str, String, f64);

/// Formats a number for people: `4,009`, or with decimals if it is small.
pub fn number(value: f64) -> String {
    if 0.0 < value && value < 1.0 {
        return format!("{value:.2}");
    }
    if value < 10.0 && value.fract() >= 0.05 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let part = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + part * (self.to - self.from)
    }
}

/// A figure with one line for each of `series`; empty if there are no points.
pub fn lines(title: &str, below: &str, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let least = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::INFINITY, f64::min);
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(0.0, f64::max);
    if points().next().is_none() {
        return String::new();
    }
    let (x, y) = (|point: &(f64, f64)| point.0, |point: &(f64, f64)| point.1);
    let decade = |value: f64, round: fn(f64) -> f64| 10_f64.powf(round(value.log10()));
    let (low, high) = (decade(least(y), f64::floor), decade(most(y) * 1.01, f64::ceil));
    let across =
        Axis { low: least(x), high: most(x).max(least(x) * 2.0), from: LEFT, to: WIDTH - RIGHT };
    let up = Axis { low, high, from: HEIGHT - BOTTOM, to: TOP };
    let mut svg = opened(title, HEIGHT);
    let mut line = low;
    while line <= high * 1.01 {
        let at = up.at(line);
        let (end, word) = (WIDTH - RIGHT, number(line));
        add(&mut svg, format_args!(r#"<path class="grid" d="M{LEFT} {at:.1}H{end}"/>"#));
        let (left, base) = (LEFT - 6.0, at + 4.0);
        add(&mut svg, format_args!(r#"<text class="end" x="{left}" y="{base:.1}">{word}</text>"#));
        line *= 10.0;
    }
    let mut xs: Vec<f64> = points().map(x).collect();
    xs.sort_by(f64::total_cmp);
    let (mut last, base) = (f64::NEG_INFINITY, HEIGHT - BOTTOM + 16.0);
    for value in xs {
        let at = across.at(value);
        if at - last >= APART {
            let word = number(value);
            add(
                &mut svg,
                format_args!(r#"<text class="mid" x="{at:.1}" y="{base}">{word}</text>"#),
            );
            last = at;
        }
    }
    for Series { class, points } in series {
        let places: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1},{:.1}", across.at(*x), up.at(*y))).collect();
        let places = places.join(" ");
        add(&mut svg, format_args!(r#"<polyline class="{class}" points="{places}"/>"#));
        for (x, y) in points {
            let (cx, cy, said) = (across.at(*x), up.at(*y), number(*y));
            add(
                &mut svg,
                format_args!(
                    r#"<circle class="{class}" cx="{cx:.1}" cy="{cy:.1}" r="3"><title>{class}, {}: {said}</title></circle>"#,
                    number(*x)
                ),
            );
        }
    }
    closed(svg, title, below)
}

/// A figure with one bar of ours for each part; empty if there are none.
pub fn bars(title: &str, below: &str, parts: &[(String, f64)]) -> String {
    let ours: Vec<Bar> = parts.iter().map(|(name, value)| ("ours", name.clone(), *value)).collect();
    coloured(title, below, &ours)
}

/// The same with bars of several classes.
pub fn coloured(title: &str, below: &str, parts: &[Bar]) -> String {
    let most = parts.iter().map(|part| part.2).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let mut svg = opened(title, BAR * parts.len() as f64 + 6.0);
    for (row, (class, name, value)) in parts.iter().enumerate() {
        let top = BAR * row as f64 + 4.0;
        let (base, left, width) = (top + 13.0, BAR_LEFT - 6.0, value / most * BAR_WIDTH);
        let (name, beside, value) = (escaped(name), BAR_LEFT + width + 6.0, number(*value));
        add(&mut svg, format_args!(r#"<text class="end" x="{left}" y="{base}">{name}</text>"#));
        add(
            &mut svg,
            format_args!(
                r#"<rect class="{class}" x="{BAR_LEFT}" y="{top}" width="{width:.1}" height="16"/>"#
            ),
        );
        add(&mut svg, format_args!(r#"<text x="{beside:.1}" y="{base}">{value}</text>"#));
    }
    closed(svg, title, below)
}

fn opened(title: &str, height: f64) -> String {
    let title = escaped(title);
    format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">"#)
}

fn closed(svg: String, title: &str, below: &str) -> String {
    let (title, below) = (escaped(title), escaped(below));
    format!("<figure><h3>{title}</h3>{svg}</svg><figcaption>{below}</figcaption></figure>\n")
}

fn add(svg: &mut String, part: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = svg.write_fmt(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_small_ones_have_a_decimal() {
        for (value, said) in [
            (0.0, "0"),
            (0.437, "0.44"),
            (5.25, "5.2"),
            (10.4, "10"),
            (1024.0, "1,024"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(number(value), said);
        }
    }

    #[test]
    fn a_line_lies_inside_its_drawing_and_higher_for_more() {
        let points = vec![(1.0, 20.0), (32.0, 900.0), (1024.0, 7000.0)];
        let svg = lines("map", "pages", &[Series { class: "ours", points }]);
        let (_, rest) = svg.split_once(r#"points=""#).unwrap();
        let (places, _) = rest.split_once('"').unwrap();
        let places: Vec<Vec<f64>> = places
            .split(' ')
            .map(|at| at.split(',').map(|n| n.parse().unwrap()).collect())
            .collect();
        assert!(places.is_sorted_by(|a, b| a[0] < b[0] && a[1] > b[1]), "{places:?}");
        let inside =
            |at: &Vec<f64>| (0.0..=WIDTH).contains(&at[0]) && (0.0..=HEIGHT).contains(&at[1]);
        assert!(places.iter().all(inside), "{places:?}");
        assert_eq!(lines("none", "", &[]), "");
    }

    #[test]
    fn the_greatest_value_has_the_longest_bar_and_text_is_escaped() {
        let parts = [("a<b".to_owned(), 50.0), ("c".to_owned(), 100.0)];
        let svg = bars("x & y", "", &parts);
        assert!(svg.contains("a&lt;b") && svg.contains("<h3>x &amp; y</h3>"));
        assert!(svg.contains(r#"width="85.0""#) && svg.contains(r#"width="170.0""#));
        assert_eq!(bars("none", "", &[]), "");
    }
}
