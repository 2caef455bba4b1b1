// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest and a C program on Debian's libxenvchan: either end, either way, as a stream and in
//! packets; and where the C library loses data.

use anyhow::{Context, Result, bail, ensure};

use super::{LONG, MANY, PATH, there};
use crate::guests::life::PAIR;
use crate::judge::reply::{number, same_bytes, value};
use crate::judge::tally::Tally;
use crate::lab::{Lab, PATIENCE};

/// Our rings where we serve: a packet has up to 70,000 bytes. C's are of the same size.
const RING: &str = "ring=131072";
/// The seed that both draw the sizes of packets from.
const PACKETS: &str = "packets=2";

/// All checks with it.
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
    tally.told(lab, "what came between two looks of C's read", lost)
}

/// The program's number, once a server of its is there.
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

/// Waits for a line of the program's that begins so.
fn says(lab: &mut Lab, program: u32, start: &str) -> Result<String> {
    let line = |lab: &Lab| lab.written(program).into_iter().find(|line| line.starts_with(start));
    lab.until(LONG, line).with_context(|| format!("no `{start}`: {}", lab.output(program)))
}

/// What one end sends is what the other gets.
fn whole(lab: &mut Lab, serves: bool, mode: &str, way: &str) -> Result<String> {
    let guest = PAIR[0];
    let work = if way == "send" { "sink" } else { "source" };
    let packets = if mode == "packets" { PACKETS } else { "" };
    // A client waits for its server.
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

/// Bytes that are written, and the channel closed, between C's look for bytes and its look for the
/// peer. It says then that there is nothing any more, and leaves them in the ring: lost by C.
/// A library that looks again reads them.
fn lost(lab: &mut Lab) -> Result<String> {
    let guest = PAIR[0];
    let program = start(lab, true, "late", "receive")?;
    let mark = lab.command(guest, &format!("vchan cat 0 /local/domain/0/{PATH}"))?;
    says(lab, program, "looked")?;
    lab.type_on(guest, b"hello")?;
    says(lab, program, "came")?;
    // Our end waits 10 s for the bytes to be taken, and closes.
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
