//! False peers in the demo, each of which costs its victim one line; and nonsense in xenstore.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::{Attack, Stage, says};
use crate::lab::{Lab, PATIENCE};
use crate::proof;

/// In the order of running. A granter holds its peace after eight lines, until a whole run.
pub const ATTACKS: &[Attack] = &[
    ("a granter that offers a reference that is none", |lab, _| lure(lab, "refs")),
    ("a granter that offers a port that is none", |lab, _| lure(lab, "port")),
    ("a granter that does not answer", |lab, _| lure(lab, "silence")),
    ("a granter whose letter has a wild number", |lab, _| lure(lab, "number")),
    ("a granter that asks for what nobody knows", |lab, _| lure(lab, "kind")),
    ("a granter that claims 4,294,967,295 references", |lab, _| lure(lab, "count")),
    ("a granter that shares what it never granted", |lab, _| lure(lab, "letter")),
    ("a granter whose ring has a wild index", |lab, _| lure(lab, "ring")),
    ("a granter's node full of nonsense", granters_nonsense),
    ("a mapper that calls and does not come", |lab, s| call(lab, s, "absent")),
    ("a mapper whose letter has a wild number", |lab, s| call(lab, s, "number")),
    ("a mapper that answers what was not asked", |lab, s| call(lab, s, "kind")),
    ("a mapper whose sums are wrong", |lab, s| call(lab, s, "sum")),
    ("a mapper that says nothing", |lab, s| call(lab, s, "silence")),
    ("a mapper that keeps all pages of the demo", |lab, s| call(lab, s, "keep")),
    ("a mapper's node full of nonsense", mappers_nonsense),
];

/// Pages that a mapper is shown until the first answer: the control page and those of step 1.
pub const SHOWN: u64 = 65;
const GRANTER: &str = "data/grantkit/demo/granter";
const MAPPER: &str = "data/grantkit/demo/mapper";

/// The hostile guest offers itself to the mapper, which looks there first.
fn lure(lab: &mut Lab, how: &str) -> Result<String> {
    let (line, ends) = match how {
        "refs" => ("bad_gntref", false),
        "port" => ("EVTCHNOP_bind_interdomain", false),
        "silence" => ("does not answer", false),
        "number" => ("the peer's letter has number 12345", false),
        "kind" => ("asks for 99, which nobody knows", true),
        "count" => ("claims 4294967295 references", true),
        "letter" => ("step 1 share FAILED: Xen refused reference 500", true),
        "ring" => ("step 4 ring FAILED: ", true),
        other => bail!("no lure {other}"),
    };
    let theirs = lab.command("hostile", &format!("lure {how}"))?;
    let mark = lab.command("mapper", "demo mapper")?;
    let said = says(lab, "mapper", mark, line)?;
    if !ends {
        // It goes on by itself, to the honest one.
        let shared = |lab: &Lab| proof::told(1, &lab.lines_from("mapper", mark)).then_some(());
        lab.until(PATIENCE, shared).context("the honest granter is not found")?;
        lab.type_on("mapper", b"\x03")?;
    }
    let answer = lab.answer("mapper", mark, PATIENCE)?;
    let last = if ends { "errno=EIO status=- passed=0 failed=1" } else { "errno=EINTR" };
    ensure!(answer.contains(last), "{answer}");
    let theirs = lab.answer("hostile", theirs, Duration::from_secs(30))?;
    ensure!(theirs.starts_with("ok lure "), "the hostile guest: {theirs}");
    Ok(format!("the mapper: `{said}`"))
}

/// The hostile guest calls the granter.
fn call(lab: &mut Lab, stage: &Stage, how: &str) -> Result<String> {
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
    let theirs = lab.command("hostile", &format!("call {} {how}", stage.granter))?;
    let said = says(lab, "granter", mark, line)?;
    let theirs = lab.answer("hostile", theirs, Duration::from_secs(30))?;
    ensure!(theirs.starts_with("ok call "), "the hostile guest: {theirs}");
    if how == "keep" {
        stage.parked(lab, SHOWN)?;
        stage.honest(lab)?;
        lab.ask("hostile", "drop")?;
        return Ok(format!("the granter: `{said}`; {SHOWN} pages parked, and back when it let go"));
    }
    Ok(format!("the granter: `{said}`"))
}

/// What no node of the demo's says; a newline of the guest's console ends the command, so there is none in here.
const NONSENSE: [&[u8]; 6] =
    [b"", b"nonsense", b"1", b"1 18446744073709551616 1", b"1 -3 +1", b"1 2 \xff\xfe\x80"];
/// What means others, or nobody: it is passed over without a word.
const OTHERS: [&[u8]; 3] = [b"1 65535 1", b"1 4294967295 4294967295", b"1 0 0"];

fn mappers_nonsense(lab: &mut Lab, stage: &Stage) -> Result<String> {
    write(lab, "publish", MAPPER, b"1 0 0")?;
    // So that the granter talks again, and has looked at all that came before: a look at a node that changed twice
    // meanwhile is a second look at the same value.
    stage.whole_run(lab)?;
    let mark = lab.said("granter").len();
    let complaint = format!("demo: domain {} publishes nonsense in {MAPPER}", stage.hostile);
    let long = [b'9'; 2000];
    let all = NONSENSE.into_iter().chain([&long[..]]);
    let mut told = 0;
    for value in all {
        write(lab, "write", MAPPER, value)?;
        told += 1;
        let lines = |lab: &Lab| {
            let lines = lab.lines_from("granter", mark);
            let count = lines.iter().filter(|line| **line == complaint).count();
            (count == told).then_some(())
        };
        lab.until(PATIENCE, lines).with_context(|| format!("{}", value.escape_ascii()))?;
    }
    for other in OTHERS {
        write(lab, "write", MAPPER, other)?;
    }
    stage.whole_run(lab)?;
    let lines = lab.lines_from("granter", mark);
    ensure!(
        lines.iter().filter(|line| **line == complaint).count() == told,
        "more than {told} lines"
    );
    Ok(format!("{told} values, one line each: `{complaint}`; a call to nobody is passed over"))
}

fn granters_nonsense(lab: &mut Lab, stage: &Stage) -> Result<String> {
    let long = [b'9'; 2000];
    let complaint = format!("demo: domain {} publishes nonsense in {GRANTER}", stage.hostile);
    write(lab, "publish", GRANTER, &long)?;
    let mark = lab.said("mapper").len();
    stage.whole_run(lab)?;
    let lines = lab.lines_from("mapper", mark);
    let told = lines.iter().filter(|line| **line == complaint).count();
    ensure!(told == 1, "{told} lines `{complaint}`");
    write(lab, "write", GRANTER, b"1 65535 1 8 9")?;
    Ok(format!("2000 digits: `{complaint}`, and a whole run with the honest granter"))
}

fn write(lab: &mut Lab, command: &str, path: &str, value: &[u8]) -> Result<()> {
    let mark = lab.said("hostile").len();
    let line = [command.as_bytes(), b" ", path.as_bytes(), b" ", value, b"\r"].concat();
    lab.type_on("hostile", &line)?;
    let answer = lab.answer("hostile", mark, PATIENCE)?;
    ensure!(answer.starts_with("ok "), "{answer}");
    Ok(())
}
