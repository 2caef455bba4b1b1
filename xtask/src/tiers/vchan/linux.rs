// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks the crate `vchan-linux`: `stream`, a program on it, in dom0 against a guest of ours and
//! against the C program, as server and as client, as a stream and in packets.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{LONG, NAME, PATH, SOON, c, there};
use crate::guests::config::Settings;
use crate::guests::life::{self, GUEST, PAIR};
use crate::judge::reply::{number, same_bytes, value};
use crate::judge::tally::Tally;
use crate::lab::Lab;
use crate::tiers::extent::Extent;

/// The program.
pub const PROGRAM: &str = "stream";
/// The number of round trips.
const TRIPS: u64 = 1000;
/// The number of bytes to a guest that was not there at first.
pub const EARLY: u64 = 100_000;
/// What the program may take to give up: it waits 10 s for the other end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs all checks that leave the guests alive.
pub fn checks(lab: &mut Lab, extent: Extent, tally: &mut Tally) -> Result<()> {
    let bytes = extent.of(8, 64) << 20;
    let mib = bytes >> 20;
    for serves in [false, true] {
        let role = if serves { "server" } else { "client" };
        for (work, back) in [("source", "sink"), ("sink", "source")] {
            let name = format!("{mib} MiB, Linux's {role} is a {work}");
            tally.told(lab, &name, |lab| with_guest(lab, serves, (work, back), bytes))?;
        }
        for mode in ["stream", "packets"] {
            for (work, way) in [("source", "receive"), ("sink", "send")] {
                let ends = format!("Linux's {role} is a {work} and C's other end");
                let name = format!("{mib} MiB inside dom0, {mode}, {ends}");
                tally.told(lab, &name, |lab| with_c(lab, serves, mode, (work, way), bytes))?;
            }
        }
    }
    let name = format!("{TRIPS} messages, Linux's server answers each");
    tally.told(lab, &name, |lab| with_guest(lab, true, ("echo", "ping"), TRIPS))?;
    tally.check(lab, "Linux's end refuses what can't be with one error", refused)?;
    tally.check(lab, "Linux's server waits for a guest that doesn't exist yet", early)
}

/// The program and its arguments, for one end of a channel to this domain.
pub fn words(serves: bool, domid: u32, work: &str, bytes: u64) -> String {
    end(PROGRAM, serves, domid, work, bytes)
}

/// The shell's command for one end of a channel to this domain, with the same meanings.
pub fn command(serves: bool, domid: u32, work: &str, bytes: u64) -> String {
    end("vchan", serves, domid, work, bytes)
}

fn end(by: &str, serves: bool, domid: u32, work: &str, bytes: u64) -> String {
    if serves {
        format!("{by} serve {domid} {PATH} {work} {bytes}")
    } else {
        format!("{by} connect {domid} /local/domain/{domid}/{PATH} {work} {bytes}")
    }
}

fn start(lab: &mut Lab, words: &str) -> Result<u32> {
    let words = format!("./{words}");
    lab.start(&words.split_whitespace().collect::<Vec<_>>())
}

/// Waits for a line of the program that starts with `start`.
fn says(lab: &mut Lab, program: u32, start: &str) -> Result<String> {
    let line = |lab: &Lab| lab.written(program).into_iter().find(|line| line.starts_with(start));
    lab.until(LONG, line).with_context(|| format!("no `{start}`: {}", lab.output(program)))
}

/// The program's end, which must be good.
fn ended(lab: &mut Lab, program: u32) -> Result<String> {
    lab.finish_within(program, LONG)?;
    says(lab, program, "ok ")
}

/// Checks that both moved the same bytes.
pub fn agree(linux: &str, other: &str, bytes: u64) -> Result<String> {
    for line in [linux, other] {
        ensure!(line.starts_with("ok ") && number(line, "bytes")? == bytes, "{line}");
    }
    same_bytes(linux, other)?;
    Ok(format!("crc32 {}, {} events of Linux's", value(linux, "crc32")?, value(linux, "events")?))
}

fn with_guest(
    lab: &mut Lab,
    serves: bool,
    (work, back): (&str, &str),
    bytes: u64,
) -> Result<String> {
    let guest = PAIR[0];
    let domid = there(lab, guest)?;
    let mark = lab.command(guest, &command(!serves, 0, back, bytes))?;
    let program = start(lab, &words(serves, domid, work, bytes))?;
    let theirs = lab.answer(guest, mark, LONG)?;
    agree(&ended(lab, program)?, &theirs, bytes)
}

/// Both ends are in dom0.
fn with_c(
    lab: &mut Lab,
    serves: bool,
    mode: &str,
    (work, way): (&str, &str),
    bytes: u64,
) -> Result<String> {
    let path = format!("/local/domain/0/{PATH}");
    let role = if serves { "client" } else { "server" };
    let mut words = words(serves, 0, work, bytes);
    if mode == "packets" {
        let ring = if serves { c::RING } else { "" };
        words += &format!(" {} {ring}", c::PACKETS);
    }
    let program = start(lab, &words)?;
    let channel = lab.start(&["./channel", role, "0", &path, way, mode, &bytes.to_string()])?;
    let linux = ended(lab, program)?;
    let theirs = says(lab, channel, "ok channel ")?;
    lab.finish(channel)?;
    agree(&linux, &theirs, bytes)
}

/// Publishes for a guest before it exists.
fn early(lab: &mut Lab) -> Result<()> {
    let reader = next_domid(lab)?;
    let program = start(lab, &words(true, reader, "source", EARLY))?;
    ensure!(life::create(lab, GUEST, NAME, &Settings::none())? == reader, "not domain {reader}");
    // The other guest may not read it.
    lab.node(&format!("/local/domain/0/{PATH}/event-channel"))?;
    let refused = lab.refused(PAIR[0], &format!("xs read /local/domain/0/{PATH}/ring-ref"))?;
    ensure!(refused.starts_with("EACCES "), "another domain: {refused}");
    let connect = command(false, 0, "sink", EARLY);
    let theirs = lab.answered(GUEST, &connect)?;
    agree(&ended(lab, program)?, &theirs, EARLY)?;
    life::remove(lab, GUEST)
}

/// The domid of the guest that is created next.
pub fn next_domid(lab: &mut Lab) -> Result<u32> {
    let last = life::create(lab, GUEST, NAME, &Settings::none())?;
    life::remove(lab, GUEST)?;
    Ok(last + 1)
}

/// A server that is not there, domains that can't be, paths that are none.
fn refused(lab: &mut Lab) -> Result<()> {
    let domid = there(lab, PAIR[0])?.to_string();
    let (none, long) = (format!("/local/domain/{domid}/data/none"), "x".repeat(5000));
    for (words, errno) in [
        (["connect", &domid, &none], "ETIMEDOUT"),
        (["connect", "32752", &none], "EINVAL"),
        (["connect", &domid, "//x"], "EINVAL"),
        (["connect", &domid, &long], "E2BIG"),
        (["serve", &domid, "a b"], "EINVAL"),
    ] {
        let program = lab.start(&[&["./stream"], &words[..], &["echo", "1"]].concat())?;
        let status = lab.status(program, PATIENCE)?;
        let said = lab.written(program);
        let expected = format!("error stream errno={errno} ");
        let one = matches!(&said[..], [line] if line.starts_with(&expected));
        ensure!(status == "1" && one, "{words:?}: {status}, {said:?}, and not {errno}");
    }
    Ok(())
}

/// Destroys a guest whose server Linux waits for.
pub fn destroyed(lab: &mut Lab) -> Result<()> {
    let guest = PAIR[1];
    let domid = there(lab, guest)?;
    lab.command(guest, &command(true, 0, "sink", 10))?;
    let program = start(lab, &words(false, domid, "sink", 10))?;
    says(lab, program, "open")?;
    lab.xl(&["destroy", guest])?;
    ensure!(lab.status(program, SOON)? == "1", "{}", lab.output(program));
    let line = says(lab, program, "error ")?;
    ensure!(line.contains(" errno=EPIPE ") && line.contains("bytes=0"), "{line}");
    life::forget(lab, guest)
}
