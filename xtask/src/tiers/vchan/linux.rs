// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks the crate `vchan-linux`: `stream`, a program on it, in dom0 against a guest of ours and
//! against the C program, as server and as client.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{LONG, PATH, SOON, there};
use crate::guests::life::{self, PAIR};
use crate::judge::reply::{number, same_bytes, value};
use crate::judge::tally::Tally;
use crate::lab::Lab;
use crate::tiers::extent::Extent;

/// The program.
pub const PROGRAM: &str = "stream";
/// The number of round trips.
const TRIPS: u64 = 1000;
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
        for (work, way) in [("source", "receive"), ("sink", "send")] {
            let name =
                format!("{mib} MiB inside dom0, Linux's {role} is a {work} and C's other end");
            tally.told(lab, &name, |lab| with_c(lab, serves, work, way, bytes))?;
        }
    }
    let name = format!("{TRIPS} messages, Linux's server answers each");
    tally.told(lab, &name, |lab| with_guest(lab, true, ("echo", "ping"), TRIPS))?;
    tally.check(lab, "Linux's end refuses what can't be with one error", refused)
}

fn start(lab: &mut Lab, serves: bool, domid: u32, work: &str, bytes: u64) -> Result<u32> {
    let path = if serves { PATH.to_owned() } else { format!("/local/domain/{domid}/{PATH}") };
    let role = if serves { "serve" } else { "connect" };
    lab.start(&["./stream", role, &domid.to_string(), &path, work, &bytes.to_string()])
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
fn agree(linux: &str, other: &str, bytes: u64) -> Result<String> {
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
    let command = if serves {
        format!("vchan connect 0 /local/domain/0/{PATH} {back} {bytes}")
    } else {
        format!("vchan serve 0 {PATH} {back} {bytes}")
    };
    let mark = lab.command(guest, &command)?;
    let program = start(lab, serves, domid, work, bytes)?;
    let theirs = lab.answer(guest, mark, LONG)?;
    agree(&ended(lab, program)?, &theirs, bytes)
}

/// Both ends are in dom0.
fn with_c(lab: &mut Lab, serves: bool, work: &str, way: &str, bytes: u64) -> Result<String> {
    let path = format!("/local/domain/0/{PATH}");
    let role = if serves { "client" } else { "server" };
    let program = start(lab, serves, 0, work, bytes)?;
    let channel = lab.start(&["./channel", role, "0", &path, way, "stream", &bytes.to_string()])?;
    let linux = ended(lab, program)?;
    let theirs = says(lab, channel, "ok channel ")?;
    lab.finish(channel)?;
    agree(&linux, &theirs, bytes)
}

/// A server that is not there, domains that can't be or are not there, paths that are none.
fn refused(lab: &mut Lab) -> Result<()> {
    let domid = there(lab, PAIR[0])?.to_string();
    let (none, long) = (format!("/local/domain/{domid}/data/none"), "x".repeat(5000));
    for (words, errno) in [
        (["connect", &domid, &none], "ETIMEDOUT"),
        (["connect", "32752", &none], "EINVAL"),
        (["connect", &domid, "//x"], "EINVAL"),
        (["connect", &domid, &long], "E2BIG"),
        (["serve", "32751", PATH], "ESRCH"),
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
    lab.command(guest, &format!("vchan serve 0 {PATH} sink 10"))?;
    let program = start(lab, false, domid, "sink", 10)?;
    says(lab, program, "open")?;
    lab.xl(&["destroy", guest])?;
    ensure!(lab.status(program, SOON)? == "1", "{}", lab.output(program));
    let line = says(lab, program, "error ")?;
    ensure!(line.contains(" errno=EPIPE ") && line.contains("bytes=0"), "{line}");
    life::forget(lab, guest)
}
