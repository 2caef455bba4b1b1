// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks the guest's console as a program uses it: long lines, lines typed ahead, Ctrl-C, and the
//! errno of every refusal.

use anyhow::{Result, ensure};

use super::data::freed;
use super::sides::{Check, LINE, Side, Sides};
use crate::guests::life::GUEST;
use crate::judge::reply::{number, value};

/// Ctrl-C.
const CTRL_C: &[u8] = b"\x03";

pub const CHECKS: &[Check] = &[
    ("a line of 8,192 bytes is taken, one of 8,193 refused", long_lines),
    ("lines typed while a command runs are run afterwards, in order", typed_ahead),
    ("Ctrl-C ends a wait, and leaves what was typed before it", interrupted),
    ("CR, LF, CRLF, tabs, rubbed-out and odd bytes", edited),
    ("every refusal has the documented errno and status", refusals),
];

fn long_lines(sides: &mut Sides<'_>) -> Result<()> {
    let pages = sides.pages(Side::Guest, 3, "", "")?;
    let start = format!("write {} 1 ", pages.share);
    let text: String = ('a'..='z').cycle().take(LINE - start.len()).collect();
    let wrote = sides.ask(Side::Guest, &format!("{start}{text}"))?;
    ensure!(number(&wrote, "len")? == text.len() as u64, "not all: {wrote}");
    let end = sides.ask(Side::Linux, &format!("read {} {} 16", pages.map, text.len() - 15))?;
    ensure!(end.ends_with(&format!(" text={}", &text[text.len() - 16..])), "Linux read: {end}");
    sides.refused(Side::Guest, &format!("{start}{text}x"), "E2BIG")?;
    sides.part(pages)
}

fn typed_ahead(sides: &mut Sides<'_>) -> Result<()> {
    let pages = sides.pages(Side::Guest, 64, "", "")?;
    // Sent at once, and more than the ring and all buffers on the way can hold.
    let seeds = 1..=60;
    let fill = |seed| format!("fill {} {seed}{:100}\rsum {}\r", pages.share, "", pages.share);
    let lines: String = seeds.clone().map(fill).collect();
    let mark = sides.lab.said(GUEST).len();
    sides.lab.type_on(GUEST, format!("sleep 300\r{lines}").as_bytes())?;
    let answers = sides.answers(mark, 121)?;
    ensure!(answers[0] == "ok sleep ms=300", "the first answer: {}", answers[0]);
    for pair in answers[1..].chunks(2) {
        let (filled, summed) = (value(&pair[0], "crc32")?, value(&pair[1], "crc32")?);
        ensure!(filled == summed, "out of order: {} {}", pair[0], pair[1]);
    }
    let seen = sides.ask(Side::Linux, &format!("sum {}", pages.map))?;
    let last = value(&answers[120], "crc32")?;
    ensure!(value(&seen, "crc32")? == last, "Linux sees: {seen}");
    sides.part(pages)
}

fn interrupted(sides: &mut Sides<'_>) -> Result<()> {
    let channel = sides.channel()?;
    let pages = sides.pages(Side::Guest, 64, "", "")?;
    for wait in [format!("wait {}", pages.share), format!("port wait {}", channel.guest)] {
        let mark = sides.lab.said(GUEST).len();
        // Ctrl-C leaves complete lines alone, and discards the unfinished one before it.
        let typed = format!("{wait}\rstate {}\rpowero", pages.share);
        sides.lab.type_on(GUEST, &[typed.as_bytes(), CTRL_C].concat())?;
        let answers = sides.answers(mark, 2)?;
        let expected = format!(
            "error {} errno=EINTR status=- ",
            wait.trim_end_matches(|c: char| { c.is_ascii_digit() || c == ' ' })
        );
        ensure!(answers[0].starts_with(&expected), "the wait ended with: {}", answers[0]);
        ensure!(answers[1].ends_with(" states=mapped-rw*64"), "after it: {}", answers[1]);
    }
    sides.ask(Side::Guest, &format!("port close {}", channel.guest))?;
    sides.part(pages)
}

fn edited(sides: &mut Sides<'_>) -> Result<()> {
    let lines = [
        (b"sleep 1\r".as_slice(), "ok sleep ms=1"),
        (b"sleep 2\n", "ok sleep ms=2"),
        (b"sleep 3\r\n", "ok sleep ms=3"),
        (b"  sleep\t 4 \r", "ok sleep ms=4"),
        (b"slep\x7f\x7fe\x08eep 0x5\r", "ok sleep ms=5"), // backspace, as either byte
        (b"poweroff\x15sleep 6\r", "ok sleep ms=6"),      // Ctrl-U
        (b"sleep 7 8\x17\r", "ok sleep ms=7"),            // Ctrl-W
        (b"\r\n\r \rsleep 8\r", "ok sleep ms=8"),         // empty lines have no answer
        (b"sleep \xff\r", "error sleep errno=EINVAL status=- byte 6 of the line is not UTF-8"),
        ("sleep gr\u{fc}n\r".as_bytes(), "error sleep errno=EINVAL status=- "),
        (b"sleep 9\r", "ok sleep ms=9"),
    ];
    let mark = sides.lab.said(GUEST).len();
    let typed: Vec<u8> = lines.iter().flat_map(|(typed, _)| *typed).copied().collect();
    sides.lab.type_on(GUEST, &typed)?;
    let answers = sides.answers(mark, lines.len())?;
    for (answer, (_, expected)) in answers.iter().zip(lines) {
        ensure!(answer.starts_with(expected), "not `{expected}`: {answer}");
    }
    Ok(())
}

fn refusals(sides: &mut Sides<'_>) -> Result<()> {
    let shared = sides.ask(Side::Guest, "share 0 2")?;
    let share = number(&shared, "id")?;
    let linux = sides.ask(Side::Linux, &format!("share {} 1", sides.domid))?;
    let (linux_share, gref) = (number(&linux, "id")?, value(&linux, "refs")?.to_owned());
    let map = number(&sides.ask(Side::Guest, &format!("map 0 {gref}"))?, "id")?;
    let table = [
        ("share 0 0".into(), "EINVAL", "-"),
        ("share 0 1025".into(), "ENOSPC", "-"),
        ("share 0 4294967296".into(), "EINVAL", "-"),
        ("share 32752 1".into(), "EINVAL", "-"),
        ("share 0 1 rw".into(), "EINVAL", "-"),
        ("share 0".into(), "EINVAL", "-"),
        ("share 0 1 ro more".into(), "EINVAL", "-"),
        (format!("map 0 {gref},4000000"), "EINVAL", "bad_gntref"),
        (format!("map 32000 {gref}"), "EINVAL", "bad_domain"),
        (format!("map 0 {gref},"), "EINVAL", "-"),
        ("map 0 8,-9".into(), "EINVAL", "-"),
        ("map 0".into(), "EINVAL", "-"),
        (format!("unmap {share}"), "ENOENT", "-"),
        (format!("unshare {map}"), "ENOENT", "-"),
        (format!("wait {map}"), "ENOENT", "-"),
        ("sum 99999999".into(), "ENOENT", "-"),
        (format!("read {share} 8190 3"), "EINVAL", "-"),
        (format!("read {share} 0 257"), "EINVAL", "-"),
        (format!("read {map} 18446744073709551615 2"), "EINVAL", "-"),
        (format!("write {map} 4096 x"), "EINVAL", "-"),
        (format!("write {map} 0"), "EINVAL", "-"),
        (format!("notify {share} byte=8192"), "EINVAL", "-"),
        (format!("notify {map} event=4000"), "EINVAL", "-"),
        (format!("notify {map} bytes=1"), "EINVAL", "-"),
        ("port send 4000".into(), "ENOENT", "-"),
        ("port bind 0 4000".into(), "EINVAL", "-"),
        ("port".into(), "EINVAL", "-"),
        ("shard 0 1".into(), "ENOSYS", "-"),
    ];
    for (command, errno, status) in table {
        let line = sides.refused(Side::Guest, &command, errno)?;
        ensure!(value(&line, "status")? == status, "`{command}`: {line}");
    }
    sides.ask(Side::Guest, &format!("unmap {map}"))?;
    sides.ask(Side::Linux, &format!("unshare {linux_share}"))?;
    freed(sides, share)
}
