// SPDX-License-Identifier: MIT OR Apache-2.0
//! False peers in the demo, each of which makes its victim print one line.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::nonsense;
use super::victims::{Attack, HOSTILE, Victims, honest, parked};
use crate::judge::demo;
use crate::lab::{Lab, PATIENCE};

/// False granters, in the order in which they run.
pub const LURES: &[Attack] = &[
    ("a granter that offers an invalid reference", |lab, _| lure(lab, "refs")),
    ("a granter that offers an invalid port", |lab, _| lure(lab, "port")),
    ("a granter that does not answer", |lab, _| lure(lab, "silence")),
    ("a granter whose letter has a wild number", |lab, _| lure(lab, "number")),
    ("a granter that asks for an unknown step", |lab, _| lure(lab, "kind")),
    ("a granter that claims 4,294,967,295 references", |lab, _| lure(lab, "count")),
    ("a granter that shares what it never granted", |lab, _| lure(lab, "letter")),
    ("a granter whose ring has a wild index", |lab, _| lure(lab, "ring")),
    ("a granter's node full of nonsense", nonsense::granters),
];
/// False mappers. After eight complaints the granter prints no more until a whole run.
pub const CALLS: &[Attack] = &[
    ("a mapper that calls but does not come", |lab, v| call(lab, v, "absent")),
    ("a mapper whose letter has a wild number", |lab, v| call(lab, v, "number")),
    ("a mapper that answers another question", |lab, v| call(lab, v, "kind")),
    ("a mapper whose sums are wrong", |lab, v| call(lab, v, "sum")),
    ("a mapper that says nothing", |lab, v| call(lab, v, "silence")),
    ("a mapper that keeps all pages of the demo", |lab, v| call(lab, v, "keep")),
    ("a mapper's node full of nonsense", nonsense::mappers),
];

/// The number of pages shared with a mapper before its first answer: the control page and those of
/// step 1.
pub const SHOWN: u64 = 65;

/// Has the hostile guest offer itself as granter to the mapper, which looks at it first.
fn lure(lab: &mut Lab, how: &str) -> Result<String> {
    let (line, ends) = match how {
        "refs" => ("bad_gntref", false),
        "port" => ("event_channel_op.bind_interdomain", false),
        "silence" => ("does not answer", false),
        "number" => ("the peer's letter has number 12345", false),
        "kind" => ("asks for 99, which nobody knows", true),
        "count" => ("claims 4294967295 references", true),
        "letter" => ("step 1 share FAILED: Xen refused reference 500", true),
        "ring" => ("step 4 ring FAILED: ", true),
        other => bail!("no lure {other}"),
    };
    let theirs = put_out(lab, how)?;
    let mark = lab.command("mapper", "demo mapper")?;
    let said = lab.says("mapper", mark, line)?;
    if !ends {
        // The mapper goes on by itself, to the honest granter.
        let shared = |lab: &Lab| demo::told(1, &lab.lines_from("mapper", mark)).then_some(());
        lab.until(PATIENCE, shared).context("the mapper did not find the honest granter")?;
        lab.type_on("mapper", b"\x03")?;
    }
    let answer = lab.answer("mapper", mark, PATIENCE)?;
    let last = if ends { "errno=EIO status=- passed=0 failed=1" } else { "errno=EINTR" };
    ensure!(answer.contains(last), "{answer}");
    let theirs = lab.answer(HOSTILE, theirs, Duration::from_secs(30))?;
    ensure!(theirs.starts_with("ok lure "), "the hostile guest: {theirs}");
    Ok(format!("the mapper: `{said}`"))
}

/// Has the hostile guest offer itself, and waits until a mapper can find it; returns the mark after
/// which its answer comes.
fn put_out(lab: &mut Lab, how: &str) -> Result<usize> {
    let mark = lab.command(HOSTILE, &format!("lure {how}"))?;
    lab.says(HOSTILE, mark, "lure: free")?;
    Ok(mark)
}

/// Has the hostile guest call the granter as mapper.
fn call(lab: &mut Lab, victims: &Victims, how: &str) -> Result<String> {
    let line = match how {
        "absent" => "called and did not come",
        "number" => "the peer's letter has number 12345",
        "kind" => "the peer's answer is of kind 77",
        "sum" => "the CRC-32 that the mapper has",
        "silence" => "says nothing any more",
        "keep" => "the peer can't",
        other => bail!("no call {other}"),
    };
    let mark = lab.said("granter").len();
    let theirs = lab.command(HOSTILE, &format!("call {} {how}", victims.granter))?;
    let said = lab.says("granter", mark, line)?;
    let theirs = lab.answer(HOSTILE, theirs, Duration::from_secs(30))?;
    ensure!(theirs.starts_with("ok call "), "the hostile guest: {theirs}");
    if how == "keep" {
        parked(lab, SHOWN)?;
        honest(lab)?;
        lab.ask(HOSTILE, "drop")?;
        return Ok(format!("the granter: `{said}`; {SHOWN} pages parked, and back when it let go"));
    }
    Ok(format!("the granter: `{said}`"))
}
