// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks channels between a guest and a C program on Debian's libxenvchan: C as client and server,
//! in both directions, as a stream and in packets; and a case in which the C library loses data.

use anyhow::{Context, Result, bail, ensure};

use super::{LONG, MANY, PATH, there};
use crate::guests::life::PAIR;
use crate::judge::reply::{number, same_bytes, value};
use crate::judge::tally::Tally;
use crate::lab::{Lab, PATIENCE};

/// The size of our rings when we serve: a packet has up to 70,000 bytes. C's rings have the same
/// size.
pub const RING: &str = "ring=131072";
/// The seed from which both draw the sizes of packets.
pub const PACKETS: &str = "packets=2";

/// Runs all checks with the C program.
pub fn checks(lab: &mut Lab, tally: &mut Tally) -> Result<()> {
    for serves in [false, true] {
        for mode in ["stream", "packets"] {
            for way in ["send", "receive"] {
                let role = if serves { "server" } else { "client" };
                let words = if mode == "stream" { "a stream" } else { "packets" };
                let name = format!("64 MiB, C's {role} has {words} to {way}");
                tally.told(lab, &name, |lab| whole(lab, serves, mode, way))?;
            }
        }
    }
    tally.told(lab, "bytes that come between two checks in C's read", lost)
}

/// Starts the program, waits until it is ready if it serves, and returns its number.
fn start(lab: &mut Lab, serves: bool, mode: &str, way: &str) -> Result<u32> {
    let domid = there(lab, PAIR[0])?.to_string();
    let path = if serves { format!("/local/domain/0/{PATH}") } else { seen(&domid) };
    let role = if serves { "server" } else { "client" };
    let bytes = MANY.to_string();
    let program = lab.start(&["./channel", role, &domid, &path, way, mode, &bytes])?;
    if serves {
        says(lab, program, "ready")?;
    }
    Ok(program)
}

fn seen(domid: &str) -> String {
    format!("/local/domain/{domid}/{PATH}")
}

/// Waits for a line of the program that starts with `start`.
fn says(lab: &mut Lab, program: u32, start: &str) -> Result<String> {
    let line = |lab: &Lab| lab.written(program).into_iter().find(|line| line.starts_with(start));
    lab.until(LONG, line).with_context(|| format!("no `{start}`: {}", lab.output(program)))
}

/// Checks that one end receives what the other sends.
fn whole(lab: &mut Lab, serves: bool, mode: &str, way: &str) -> Result<String> {
    let guest = PAIR[0];
    let work = if way == "send" { "sink" } else { "source" };
    let packets = if mode == "packets" { PACKETS } else { "" };
    // The server starts first; the client waits until it is there.
    let (mark, program) = if serves {
        let program = start(lab, serves, mode, way)?;
        let connect = format!("vchan connect 0 /local/domain/0/{PATH} {work} {MANY} {packets}");
        (lab.command(guest, connect.trim_end())?, program)
    } else {
        let serve = format!("vchan serve 0 {PATH} {work} {MANY} {RING} {packets}");
        (lab.command(guest, serve.trim_end())?, start(lab, serves, mode, way)?)
    };
    let ours = lab.answer(guest, mark, LONG)?;
    let theirs = says(lab, program, "ok channel ")?;
    lab.finish(program)?;
    for line in [&ours, &theirs] {
        ensure!(line.starts_with("ok ") && number(line, "bytes")? == MANY, "{line}");
    }
    same_bytes(&ours, &theirs)?;
    Ok(format!("crc32 {}, {} events of ours", value(&ours, "crc32")?, value(&ours, "events")?))
}

/// Writes bytes and closes the channel between C's check for bytes and its check for the peer. C's
/// read then reports the end and leaves the bytes in the ring, so C loses them. A library that
/// checks again reads them.
fn lost(lab: &mut Lab) -> Result<String> {
    let guest = PAIR[0];
    let program = start(lab, true, "late", "receive")?;
    let mark = lab.command(guest, &format!("vchan cat 0 /local/domain/0/{PATH}"))?;
    says(lab, program, "looked")?;
    lab.type_on(guest, b"hello")?;
    says(lab, program, "came")?;
    // Our end waits 10 s for the bytes to be read, and then closes.
    lab.type_on(guest, b"\x04")?;
    let line = lab.answer(guest, mark, PATIENCE)?;
    ensure!(line.contains(" errno=ETIMEDOUT "), "{line}");
    let line = says(lab, program, "ok channel ")?;
    lab.finish(program)?;
    match (value(&line, "read")?, value(&line, "left")?) {
        ("-1", "5") => Ok("its read is -1 and leaves 5 bytes in the ring: lost by C".into()),
        ("5", "0") => Ok("this library looks again, and loses nothing".into()),
        _ => bail!("{line}"),
    }
}
