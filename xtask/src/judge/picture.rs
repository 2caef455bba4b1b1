// SPDX-License-Identifier: MIT OR Apache-2.0
//! Draws one run of the demo: a self-contained page, light or dark as its reader prefers.
//!
//! It shows only what the two guests logged about their turns, and the report. A turn that one of
//! them did not log is not drawn.

use std::fmt::Write;

use super::demo::Step;
use super::html::escaped;
use super::seen::Seen;

const STYLE: &str = include_str!("picture.css");
/// The drawing's size in its own units, and its margins.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 34.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// The length of the table's longest bar, in its own units.
const BAR: f64 = 60.0;

/// One turn as each guest logged it: before and after.
struct Turn {
    granter: [Seen; 2],
    mapper: [Seen; 2],
}

/// Returns the page; `on` says what the run was on.
pub fn page(on: &str, steps: &[Step], granter: &[Seen], mapper: &[Seen]) -> String {
    let turns = turns(granter, mapper);
    let most = granter.iter().map(|seen| seen.granted).max().unwrap_or(0).max(1);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Two Xen guests share memory</title>\n<style>\n{STYLE}</style></head>\n<body>\n\
         <h1>Two Xen guests share memory</h1>\n<p>{}</p>\n<h2>The pages between them</h2>\n\
         <p class=\"legend\"><span class=\"granted\">granted</span> <span class=\"mapped\">mapped \
         by the peer</span> <span class=\"parked\">parked: let go of, but still mapped</span></p>\n",
        escaped(on)
    );
    html.push_str(&line_by_line(granter, mapper, most));
    html.push_str("<h2>Turn by turn</h2>\n");
    html.push_str(&table(&turns, most));
    html.push_str("<h2>What was proved</h2>\n<ol>\n");
    for step in steps {
        let (class, words) = match &step.outcome {
            Ok(words) => ("ok", words),
            Err(why) => ("failed", why),
        };
        let (name, words) = (step.name(), escaped(words));
        add(&mut html, format_args!("<li class=\"{class}\"><b>{name}</b> {words}</li>\n"));
    }
    html.push_str(
        "</ol>\n<p class=\"note\">Counts are exact. Times are those of an emulated machine and say \
         nothing about hardware.</p>\n</body></html>\n",
    );
    html
}

/// The turns that both guests logged, each with the state before it. If a turn has several lines,
/// the last counts.
fn turns(granter: &[Seen], mapper: &[Seen]) -> Vec<Turn> {
    let pairs = |seen: &[Seen]| -> Vec<[Seen; 2]> {
        let ends = seen.chunk_by(|one, next| one.kind == next.kind).filter_map(<[Seen]>::last);
        let ends: Vec<Seen> = ends.copied().collect();
        ends.windows(2).filter_map(|pair| pair.try_into().ok()).collect()
    };
    let (granter, mut mapper) = (pairs(granter), pairs(mapper).into_iter());
    let with = |granter: [Seen; 2]| {
        let mapper = mapper.find(|mapper| mapper[1].kind == granter[1].kind)?;
        Some(Turn { granter, mapper })
    };
    granter.into_iter().map_while(with).collect()
}

/// The drawing: pages after each line that either guest logged, in the order of Xen's time. Areas
/// are granted and mapped pages, a line the parked ones; the steps' numbers are below.
fn line_by_line(granter: &[Seen], mapper: &[Seen], most: u64) -> String {
    let granters = granter.iter().map(|seen| (*seen, true));
    let mut lines: Vec<_> = granters.chain(mapper.iter().map(|seen| (*seen, false))).collect();
    lines.sort_by(|(one, _), (other, _)| one.at.total_cmp(&other.at));
    if lines.is_empty() {
        return "<p>No turns were logged.</p>\n".to_owned();
    }
    let wide = (WIDTH - LEFT - RIGHT) / lines.len() as f64;
    let x = |line: usize| LEFT + line as f64 * wide;
    let y = |pages: u64| HEIGHT - BOTTOM - pages as f64 / most as f64 * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Pages, line by \
         line\">\n"
    );
    for pages in [0, most] {
        let (at, base, end) = (y(pages), y(pages) + 4.0, WIDTH - RIGHT);
        let left = LEFT - 5.0;
        add(&mut svg, format_args!("<path class=\"grid\" d=\"M{LEFT} {at:.1}H{end}\"/>\n"));
        add(
            &mut svg,
            format_args!("<text class=\"end\" x=\"{left}\" y=\"{base:.1}\">{pages}</text>\n"),
        );
    }
    let stairs = |of: bool, pages: fn(&Seen) -> u64| {
        let mut path = format!("M{LEFT} {:.1}", y(0));
        for (line, (seen, whose)) in lines.iter().enumerate() {
            if *whose == of {
                add(&mut path, format_args!("H{:.1}V{:.1}", x(line), y(pages(seen))));
            }
        }
        path + &format!("H{:.1}", x(lines.len()))
    };
    let floor = y(0);
    for (class, path) in [
        ("granted", stairs(true, |seen| seen.granted)),
        ("mapped", stairs(false, |seen| seen.mapped)),
    ] {
        add(&mut svg, format_args!("<path class=\"{class}\" d=\"{path}V{floor:.1}Z\"/>\n"));
    }
    let parked = stairs(true, |seen| seen.parked);
    add(&mut svg, format_args!("<path class=\"parked\" d=\"{parked}\"/>\n"));
    let steps: Vec<u32> = lines.iter().map(|(seen, _)| seen.turn().1).collect();
    let mut line = 0;
    for step in steps.chunk_by(|one, next| one == next) {
        let (from, middle, base) =
            (x(line), x(line) + wide * step.len() as f64 / 2.0, HEIGHT - 8.0);
        add(&mut svg, format_args!("<path class=\"grid\" d=\"M{from:.1} {TOP}V{floor:.1}\"/>\n"));
        if let Some(number) = step.first() {
            add(
                &mut svg,
                format_args!(
                    "<text class=\"mid\" x=\"{middle:.1}\" y=\"{base}\">{number}</text>\n"
                ),
            );
        }
        line += step.len();
    }
    svg + "</svg><figcaption>pages after each line that a guest logged, and the step it belongs \
           to</figcaption></figure>\n"
}

/// A table with a row per turn: pages as a bar, and what each guest did.
fn table(turns: &[Turn], most: u64) -> String {
    let mut html = String::from(
        "<table><thead><tr><th></th><th></th><th></th><th colspan=\"2\">hypercalls</th><th \
         colspan=\"2\">events</th></tr>\n<tr><th>turn</th><th>at, s</th><th>pages</th>\
         <th>granter</th><th>mapper</th><th>granter</th><th>mapper</th></tr></thead>\n<tbody>\n",
    );
    let began = turns.first().map_or(0.0, |turn| turn.granter[0].at);
    for Turn { granter, mapper } in turns {
        let (name, step) = granter[1].turn();
        let bar = bar(granter[1].granted, mapper[1].mapped, most);
        let made = |[before, after]: [Seen; 2]| {
            let (calls, events) = (
                after.hypercalls.saturating_sub(before.hypercalls),
                after.events.saturating_sub(before.events),
            );
            (calls, events)
        };
        let ((calls, events), (theirs, their_events)) = (made(*granter), made(*mapper));
        add(
            &mut html,
            format_args!(
                "<tr><td>{step} {name}</td><td>{:.2}</td><td>{bar}</td><td>{calls}</td><td>{theirs}</td>\
                 <td>{events}</td><td>{their_events}</td></tr>\n",
                granter[1].at - began
            ),
        );
    }
    html + "</tbody></table>\n"
}

fn bar(granted: u64, mapped: u64, most: u64) -> String {
    let wide = |pages: u64| pages.min(most) as f64 / most as f64 * BAR;
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 {BAR} 12\" role=\"img\" aria-label=\"{granted} granted, \
         {mapped} mapped\"><rect class=\"granted\" width=\"{:.1}\" height=\"12\"/><rect \
         class=\"mapped\" y=\"3\" width=\"{:.1}\" height=\"6\"/></svg>",
        wide(granted),
        wide(mapped)
    )
}

fn add(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = text.write_fmt(words);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(at: f64, kind: u32, granted: u64, mapped: u64, hypercalls: u64) -> Seen {
        Seen { at, kind, granted, mapped, parked: 0, hypercalls, events: hypercalls / 2 }
    }

    #[test]
    fn a_turn_shows_what_each_guest_did_in_it() {
        let granter = [seen(1.0, 0, 1, 0, 100), seen(2.0, 1, 65, 0, 110)];
        let mapper = [seen(1.5, 0, 0, 1, 40), seen(1.9, 1, 0, 65, 43)];
        let page = page("Xen", &[], &granter, &mapper);
        assert!(page.contains("<td>1 share</td>"), "{page}");
        assert!(page.contains("</td><td>10</td><td>3</td><td>5</td><td>1</td></tr>"), "{page}");
        assert!(page.contains("aria-label=\"65 granted, 65 mapped\""));
    }

    #[test]
    fn only_turns_that_both_logged_are_drawn() {
        let granter = [seen(1.0, 0, 1, 0, 1), seen(2.0, 1, 65, 0, 2), seen(3.0, 2, 66, 0, 3)];
        assert_eq!(turns(&granter, &[seen(1.0, 0, 0, 1, 1), seen(2.0, 1, 0, 65, 2)]).len(), 1);
        assert_eq!(turns(&granter, &[]).len(), 0);
        assert!(page("", &[], &[], &[]).contains("No turns were logged."));
    }

    #[test]
    fn what_a_guest_said_is_text() {
        let step = Step { number: 1, outcome: Err("<script>".to_owned()) };
        let page = page("a & b", &[step], &[], &[]);
        assert!(page.contains("<li class=\"failed\"><b>share</b> &lt;script&gt;</li>"));
        assert!(page.contains("<p>a &amp; b</p>"));
    }
}
