// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nonsense in the demo's xenstore nodes: each value makes the victim that reads it print one line.

use anyhow::{Context, Result, ensure};

use super::victims::{HOSTILE, Victims, whole_run};
use crate::lab::{Lab, PATIENCE};

const GRANTER: &str = "data/grantkit/demo/granter";
const MAPPER: &str = "data/grantkit/demo/mapper";

/// Values that no demo node ever has. None contains a newline, which would end the command on the
/// guest's console.
const NONSENSE: [&[u8]; 6] =
    [b"", b"nonsense", b"1", b"1 18446744073709551616 1", b"1 -3 +1", b"1 2 \xff\xfe\x80"];
/// Values that address other domains, or none: they are ignored silently.
const OTHERS: [&[u8]; 3] = [b"1 65535 1", b"1 4294967295 4294967295", b"1 0 0"];

/// Writes nonsense to a mapper's node.
pub fn mappers(lab: &mut Lab, victims: &Victims) -> Result<String> {
    write(lab, "publish", MAPPER, b"1 0 0")?;
    // After a whole run the granter complains again, and has seen everything before: if it came
    // late to a node that has changed twice, it would read the same value twice.
    whole_run(lab)?;
    let mark = lab.said("granter").len();
    let complaint = format!("demo: domain {} publishes nonsense in {MAPPER}", victims.hostile);
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
    whole_run(lab)?;
    let lines = lab.lines_from("granter", mark);
    ensure!(
        lines.iter().filter(|line| **line == complaint).count() == told,
        "more than {told} lines"
    );
    Ok(format!("{told} values, one line each: `{complaint}`; a call to nobody is passed over"))
}

/// Writes nonsense to a granter's node.
pub fn granters(lab: &mut Lab, victims: &Victims) -> Result<String> {
    let long = [b'9'; 2000];
    let complaint = format!("demo: domain {} publishes nonsense in {GRANTER}", victims.hostile);
    write(lab, "publish", GRANTER, &long)?;
    let mark = lab.said("mapper").len();
    whole_run(lab)?;
    let lines = lab.lines_from("mapper", mark);
    let told = lines.iter().filter(|line| **line == complaint).count();
    ensure!(told == 1, "{told} lines `{complaint}`");
    write(lab, "write", GRANTER, b"1 65535 1 8 9")?;
    Ok(format!("2000 digits: `{complaint}`, and a whole run with the honest granter"))
}

fn write(lab: &mut Lab, command: &str, path: &str, value: &[u8]) -> Result<()> {
    let mark = lab.said(HOSTILE).len();
    let line = [command.as_bytes(), b" ", path.as_bytes(), b" ", value, b"\r"].concat();
    lab.type_on(HOSTILE, &line)?;
    let answer = lab.answer(HOSTILE, mark, PATIENCE)?;
    ensure!(answer.starts_with("ok "), "{answer}");
    Ok(())
}
