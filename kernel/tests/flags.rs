// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the build script says about the flags of a kernel.

#[path = "../build/flags.rs"]
mod flags;

use flags::complaint;

const METAL: &str = "x86_64-unknown-none";
const ALL: [&str; 5] = [
    "-Clink-arg=-Tgrantkit.ld",
    "-Crelocation-model=static",
    "-Ccode-model=kernel",
    "-Cforce-frame-pointers=yes",
    "-Csymbol-mangling-version=v0",
];

fn said(flags: &[&str]) -> Option<String> {
    complaint(METAL, &flags.join("\x1f"))
}

#[test]
fn the_flags_of_this_repository_are_enough() {
    let config = include_str!("../../.cargo/config.toml");
    let flags: Vec<&str> =
        config.lines().filter_map(|line| line.trim().split('"').nth(1)).collect();
    assert_eq!(said(&flags), None);
    assert_eq!(said(&ALL), None);
}

#[test]
fn without_flags_the_text_is_what_to_add() {
    let said = said(&[]).expect("a complaint");
    for flag in ALL {
        assert!(said.contains(&format!("    \"{flag}\",")), "{flag} is not in {said}");
    }
    assert!(said.contains("[target.x86_64-unknown-none]\nrustflags = [\n"));
}

#[test]
fn only_what_is_missing_is_listed() {
    for missing in ALL {
        let given: Vec<&str> = ALL.into_iter().filter(|flag| *flag != missing).collect();
        let said = said(&given).expect("a complaint");
        assert_eq!(said.lines().filter(|line| line.contains("\"-C")).count(), 1, "{said}");
        assert!(said.contains(missing), "{missing} is not in {said}");
    }
}

#[test]
fn every_way_to_write_a_flag_is_understood() {
    let flags = [
        "-C",
        "link-args=--gc-sections -T /some/where/grantkit.ld",
        "-C",
        "relocation_model=static",
        "--codegen",
        "code-model=kernel",
        "-Cforce-frame-pointers",
        "--codegen=symbol-mangling-version=v0",
    ];
    assert_eq!(said(&flags), None);
}

#[test]
fn the_last_of_two_values_counts() {
    let last = |flag| said(&[&ALL[..], &[flag]].concat());
    assert!(last("-Crelocation-model=pic").is_some());
    assert!(last("-Cforce-frame-pointers=no").is_some());
    assert!(said(&[&["-Ccode-model=small"], &ALL[..]].concat()).is_none());
}

#[test]
fn the_host_needs_nothing() {
    assert_eq!(complaint("x86_64-unknown-linux-gnu", ""), None);
}
