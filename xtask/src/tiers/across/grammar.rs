// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks the exact format of result lines, which programs that drive the guest rely on.
//!
//! `ok <command>` is followed by all of the command's keys, in order, separated by single blanks;
//! `error <command>` by `errno=<NAME>`, `status=<name>` and words. Values are decimal except those
//! listed here.

use anyhow::{Result, bail, ensure};

/// The commands and their keys. dom0's program has the same commands.
const KEYS: [(&str, &[&str]); 22] = [
    ("share", &["id", "domid", "pages", "access", "refs"]),
    ("map", &["id", "domid", "pages", "access", "va"]),
    ("read", &["id", "offset", "len", "hex", "text"]),
    ("write", &["id", "offset", "len"]),
    ("fill", &["id", "bytes", "crc32"]),
    ("sum", &["id", "bytes", "crc32"]),
    ("state", &["id", "pages", "states"]),
    ("wait", &["id", "waited"]),
    ("notify", &["id", "byte", "event"]),
    ("unmap", &["id", "state"]),
    ("unshare", &["id", "state"]),
    ("grants", &["entries"]),
    ("port offer", &["port"]),
    ("port bind", &["port"]),
    ("port send", &["port"]),
    ("port wait", &["port"]),
    ("port close", &["port"]),
    ("sleep", &["ms"]),
    ("set", &["option", "value"]),
    ("help", &["commands"]),
    (
        "status",
        &[
            "grants",
            "parked",
            "maps",
            "reserved",
            "ports",
            "frames",
            "frames_free",
            "heap",
            "heap_free",
            "stack",
            "hypercalls",
            "uptime",
            "mode",
        ],
    ),
    ("counters", &["hypercalls", "events_in", "events_out", "zeroed", "copied", "allocations"]),
];
/// A key that only the guest can fill.
const GUESTS_ALONE: &str = "va";

/// Checks that a line is a well-formed result line.
pub fn check(line: &str) -> Result<()> {
    let Some((word, rest)) = line.split_once(' ') else { bail!("not a result line: `{line}`") };
    match word {
        "ok" => check_keys(rest),
        "error" => check_error(rest),
        _ => bail!("not a result line: `{line}`"),
    }
}

fn check_keys(rest: &str) -> Result<()> {
    let known = KEYS.iter().find(|(name, _)| {
        rest.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    });
    let Some((name, keys)) = known else { bail!("not a command in the table: `ok {rest}`") };
    let mut left = &rest[name.len()..];
    for key in *keys {
        let Some(value) = left.strip_prefix(&format!(" {key}=")) else {
            if *key == GUESTS_ALONE {
                continue;
            }
            bail!("`{key}` is not where it belongs: `ok {rest}`");
        };
        // The text of a `read`, its last value, may contain blanks.
        let end = if *key == "text" { value.len() } else { value.find(' ').unwrap_or(value.len()) };
        let (value, next) = value.split_at(end);
        ensure!(is_value(key, value), "`{value}` is not a valid {key}: `ok {rest}`");
        left = next;
    }
    ensure!(left.is_empty(), "`{left}` is left over: `ok {rest}`");
    Ok(())
}

fn check_error(rest: &str) -> Result<()> {
    let parts = rest.split_once(" errno=").and_then(|(command, more)| {
        let (errno, more) = more.split_once(" status=")?;
        let (status, words) = more.split_once(' ')?;
        Some((command, errno, status, words))
    });
    let Some((command, errno, status, words)) = parts else {
        bail!("not `errno=`, `status=` and words: `error {rest}`");
    };
    let name = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let good = !command.is_empty()
        && errno.starts_with('E')
        && errno.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && (status == "-" || !status.is_empty() && name(status))
        && !words.is_empty()
        && words == words.trim();
    ensure!(good, "malformed: `error {rest}`");
    Ok(())
}

fn is_value(key: &str, value: &str) -> bool {
    let decimal = |value: &str| {
        value == "0"
            || !value.is_empty()
                && !value.starts_with('0')
                && value.bytes().all(|b| b.is_ascii_digit())
    };
    let hex = |value: &str| value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match key {
        "mode" => matches!(value, "pv" | "pvh"),
        "access" => matches!(value, "rw" | "ro"),
        "refs" => value.split(',').all(decimal),
        "crc32" => value.len() == 8 && hex(value),
        "va" => !value.is_empty() && hex(value),
        "hex" => value.len().is_multiple_of(2) && hex(value),
        "byte" | "event" => value == "-" || decimal(value),
        "state" => matches!(value, "unmapped" | "freed" | "parked" | "unshared"),
        "states" => value.split(',').all(|run| {
            run.split_once('*').is_some_and(|(state, pages)| {
                matches!(state, "idle" | "mapped-ro" | "mapped-rw" | "gone") && decimal(pages)
            })
        }),
        "text" | "option" | "value" => true,
        _ => decimal(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "ok status grants=0 parked=0 maps=0 reserved=0 ports=3 frames=9 \
                          frames_free=1 heap=2 heap_free=3 stack=4 hypercalls=5 uptime=6 mode=pv";

    #[test]
    fn the_mode_is_one_of_two() {
        assert!(check(&STATUS.replace("=pv", "=pvh")).is_ok());
        assert!(check(&STATUS.replace("=pv", "=1")).is_err());
    }

    #[test]
    fn documented_result_lines_pass() {
        for line in [
            "ok share id=1 domid=0 pages=2 access=rw refs=8,9",
            "ok map id=1 domid=0 pages=2 access=ro va=ffff8000",
            "ok map id=1 domid=0 pages=2 access=ro",
            "ok read id=1 offset=0 len=3 hex=610a20 text=a. ",
            "ok sum id=1 bytes=4096 crc32=0000abcd",
            "ok state id=3 pages=3 states=mapped-rw*2,idle*1",
            "ok notify id=3 byte=- event=7",
            "ok port wait port=3",
            STATUS,
            "error port wait errno=EINTR status=- interrupted",
            "error map errno=EINVAL status=bad_gntref Xen refused reference 9",
        ] {
            check(line).unwrap();
        }
    }

    #[test]
    fn lines_with_missing_moved_doubled_or_odd_keys_fail() {
        for line in [
            "ok",
            "okay share",
            "ok shared id=1",
            "ok share id=1 domid=0 pages=2 refs=8,9 access=rw",
            "ok share id=1 domid=0 pages=2 access=rw",
            "ok share id=1  domid=0 pages=2 access=rw refs=8,9",
            "ok share id=1 domid=0 pages=2 access=rw refs=8..9",
            "ok share id=1 domid=0 pages=2 access=rw refs=8,9 ",
            "ok share id=0x1 domid=0 pages=2 access=rw refs=8,9",
            "ok share id=01 domid=0 pages=2 access=rw refs=8,9",
            "ok sum id=1 bytes=4096 crc32=abcd",
            "ok sum id=1 bytes=4096 crc32=0000ABCD",
            "ok read id=1 offset=0 len=3 hex=61 0a text=",
            "ok port wait",
            "ok port wait port=3 4",
            "error wait EINTR",
            "error wait errno=eintr status=- interrupted",
            "error wait errno=EINTR status=-",
            "error wait errno=EINTR interrupted",
            "error wait status=- errno=EINTR interrupted",
        ] {
            assert!(check(line).is_err(), "{line}");
        }
    }
}
