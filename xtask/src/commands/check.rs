// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole test: format, lints, documentation, host tests, Miri, possible panics and aborts in
//! the image, whether releases are reproducible, and every tier on Xen in its small form.
//!
//! All tiers but one need a single processor. Miri and the second build of a release, which take
//! long but need no Xen, run alongside the tiers.
//!
//! A failed step doesn't stop the others. The last line counts the Rust tests and the checks on Xen
//! that actually ran; every other step that fails counts as one failure.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::release;
use crate::guests::image::{self, TARGET};
use crate::host::cargo::{self, BUILD_LIMIT};
use crate::host::steps::{beside, logged, say, step};
use crate::host::{children, paths};
use crate::judge::record;
use crate::judge::tally::Tally;
use crate::lab::{apt, packages};
use crate::panics;
use crate::tiers::{self, Extent};

/// How long the host tests may take.
const TEST_LIMIT: Duration = Duration::from_secs(120);

/// Everything that builds on the host.
const HOST: [&str; 1] = ["--workspace"];
const KERNEL: [&str; 4] = ["-p", "grantkit", "--target", TARGET];
const GUESTS: [&str; 6] = ["-p", "image", "-p", "trials", "--target", TARGET];
const LIBRARIES: [&str; 14] = [
    "-p",
    "drivers",
    "-p",
    "vchan",
    "-p",
    "linux",
    "-p",
    "trials",
    "-p",
    "tasks",
    "-p",
    "grantkit-xen-sys",
    "--target",
    TARGET,
];
/// The crates meant for other projects.
const PACKAGES: [&str; 10] =
    ["-p", "grantkit-xen-sys", "-p", "drivers", "-p", "vchan", "-p", "fake-xen", "-p", "grantkit"];
/// The crates that have features.
const FEATURES: [&str; 6] = ["-p", "tasks", "-p", "model", "-p", "image"];
/// The service that is a workspace of its own.
const WEB: [&str; 2] = ["--manifest-path", "services/web/Cargo.toml"];
const PACKAGE: &str = "package";
const DENY: [&str; 3] = ["--", "-D", "warnings"];

/// Cargo checks that run no code of ours: a name, and cargo's arguments.
const BUILDS: [(&str, &[&[&str]]); 12] = [
    ("fmt", &[&["fmt", "--check", "--", "--color", "never"]]),
    ("fmt web", &[&["fmt", "--check", WEB[0], WEB[1]]]),
    ("clippy web", &[&["clippy", "--all-targets", "--target-dir", "target"], &WEB, &DENY]),
    ("test web", &[&["test", "--target-dir", "target"], &WEB]),
    ("clippy host", &[&["clippy", "--all-targets"], &HOST, &DENY]),
    ("clippy kernel", &[&["clippy", "--examples", "--lib"], &KERNEL, &DENY]),
    ("clippy guests", &[&["clippy", "--bins"], &GUESTS, &DENY]),
    ("clippy libraries", &[&["clippy", "--lib"], &LIBRARIES, &DENY]),
    ("doc host", &[&["doc", "--no-deps"], &HOST]),
    ("doc kernel", &[&["doc", "--no-deps"], &KERNEL]),
    // Builds each crate from its package alone, without the rest of this repository.
    (PACKAGE, &[&["package", "--offline", "--allow-dirty"], &PACKAGES]),
    // No link may lead to an item that exists only with other features. The crates not listed have
    // no features.
    ("doc without features", &[&["doc", "--no-deps", "--no-default-features"], &FEATURES]),
];

/// `./run.sh test`
pub fn everything() -> Result<()> {
    let mut tally = Tally::default();
    for (name, arguments) in BUILDS {
        let passed = step(name, || {
            if name == PACKAGE {
                cargo::forget_packages()?;
            }
            let mut cargo = cargo::command(&arguments.concat());
            cargo.env("RUSTDOCFLAGS", "-D warnings");
            logged(&name.replace(' ', "-"), cargo, BUILD_LIMIT)
        });
        if let Err(error) = passed {
            tally.failed += 1;
            record::check(name, 0.0, Err(format!("{error:#}")));
        }
        stop_if_interrupted()?;
    }
    host_tests(&mut tally);
    stop_if_interrupted()?;
    let built = image::build();
    let mut beside = Some(beside("miri and the release", miri_and_release));
    let mut failed = 0;
    let mut wait = || {
        let result = beside.take().map(|step| step.join().ok().and_then(Result::ok).unwrap_or(1));
        failed += result.unwrap_or(0);
    };
    match built {
        Ok(()) => on_the_image(&mut tally, &mut wait)?,
        Err(_) => tally.failed += 1,
    }
    wait();
    tally.failed += failed;
    stop_if_interrupted()?;
    tally.verdict("the test")
}

/// Runs the steps that run alongside the tiers; how many of them failed.
fn miri_and_release() -> Result<u64> {
    let results = [miri(), release::check()];
    let failed = results.iter().filter_map(|result| result.as_ref().err());
    failed.clone().for_each(|error| say(&format!("FAILED  {error:#}")));
    Ok(failed.count() as u64)
}

/// Checks the built image for possible panics and aborts, and runs every tier.
fn on_the_image(tally: &mut Tally, wait: &mut dyn FnMut()) -> Result<()> {
    tally.failed += panics::check().failed;
    stop_if_interrupted()?;
    match tiers::run_all(Extent::Small, wait) {
        Ok(checks) => tally.add(checks),
        Err(_) => tally.failed += 1,
    }
    Ok(())
}

/// Builds, runs and counts the tests of all host crates.
fn host_tests(tally: &mut Tally) {
    let before = tally.failed;
    let passed = step("build host tests", || {
        apt::installed("cc", &["gcc", "libc6-dev"])?;
        let headers = packages::unpacked("libxen-dev")?.join("usr/include");
        logged("build-host-tests", cargo_test(&["--no-run"], &headers), BUILD_LIMIT)?;
        logged("build-host-tests", pvh_tests(&["--no-run"]), BUILD_LIMIT)?;
        Ok(headers)
    })
    .and_then(|headers| step("host tests", || run_host_tests(&headers, tally)));
    if let Err(error) = passed {
        tally.failed += u64::from(tally.failed == before);
        record::check("host tests", 0.0, Err(format!("{error:#}")));
    }
}

fn run_host_tests(headers: &Path, tally: &mut Tally) -> Result<()> {
    let started = Instant::now();
    let mut counted = Tally::default();
    let mut run = |log, cargo| {
        let result = logged(log, cargo, 5 * TEST_LIMIT).map(drop);
        counted.add(results(&fs::read_to_string(paths::lab().join(format!("{log}.log")))?));
        result
    };
    let all = run("host-tests", cargo_test(&["--no-fail-fast"], headers));
    let translated = run("host-tests-pvh", pvh_tests(&["--no-fail-fast"]));
    let took = started.elapsed();
    tally.add(counted);
    say(&format!("        {} tests passed, {} failed", counted.passed, counted.failed));
    all.and(translated)?;
    if took > TEST_LIMIT {
        bail!("the tests took {:.0} s, more than {}", took.as_secs_f64(), TEST_LIMIT.as_secs());
    }
    Ok(())
}

/// The xen-sys test compares the ABI with Xen's own headers, whose path it takes from the
/// environment.
fn cargo_test(more: &[&str], headers: &Path) -> Command {
    let mut cargo = cargo::command(&[&["test"], more, &HOST[..]].concat());
    cargo.env("XEN_HEADERS", headers);
    cargo
}

/// The grant tests once more, as PVH guests. What must not compile is the same in both modes, so
/// that test is skipped.
fn pvh_tests(more: &[&str]) -> Command {
    let mut cargo = cargo::command(&[&["test", "--tests"], more].concat());
    cargo.args(["-p", "drivers", "-p", "linux", "-p", "model"]);
    cargo.args(["--", "--skip", "what_the_types_forbid_does_not_compile"]);
    cargo.envs([("FAKE_XEN", "pvh"), ("GRANTKIT_SEQUENCES", "100")]);
    cargo
}

/// Runs `drivers` under Miri if a nightly toolchain is installed; the project itself needs only
/// stable.
fn miri() -> Result<()> {
    let rustup = |words: &[&str]| {
        let mut rustup = children::command("rustup");
        rustup.args(words);
        rustup
    };
    let run = |command: Command| logged("miri", command, BUILD_LIMIT);
    let there = || run(rustup(&["run", "nightly", "cargo", "miri", "--version"])).is_ok();
    if !run(rustup(&["toolchain", "list"])).is_ok_and(|list| list.contains("nightly")) {
        say("skipped miri: no nightly toolchain is installed");
        return Ok(());
    }
    if !there()
        && (run(rustup(&["component", "add", "miri", "rust-src", "--toolchain", "nightly"]))
            .is_err()
            || !there())
    {
        say("skipped miri: the nightly toolchain has no miri");
        return Ok(());
    }
    // The unit tests and the notification tests: together they map, read, write, unmap and end. The
    // whole crate would take Miri too long. Property tests read the clock and the environment,
    // hence no isolation.
    let miri = |flags: &str, words: &[&str]| {
        let mut miri = rustup(&["run", "nightly", "cargo", "miri", "test", "-p", "drivers"]);
        miri.args(words).env("MIRIFLAGS", flags);
        run(miri).with_context(|| format!("miri {}", words.join(" ")))
    };
    miri("-Zmiri-disable-isolation", &["--lib", "--test", "notify"])?;
    // Two-thread protocols, with a different interleaving per seed.
    let seeds = "-Zmiri-disable-isolation -Zmiri-many-seeds=0..16";
    miri(seeds, &["--lib", "--", "orders", "checked"]).map(drop)
}

/// Adds up the lines `test result: ok. 12 passed; 0 failed; ...`.
fn results(said: &str) -> Tally {
    let mut tally = Tally::default();
    for line in said.lines().filter(|line| line.starts_with("test result: ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            let count = || pair[0].parse().unwrap_or(0);
            match pair[1] {
                "passed;" => tally.passed += count(),
                "failed;" => tally.failed += count(),
                _ => {}
            }
        }
    }
    tally
}

fn stop_if_interrupted() -> Result<()> {
    match children::interrupted() {
        true => bail!("interrupted"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_add_up_and_nothing_else_does() {
        let said = "test result: ok. 12 passed; 0 failed; 1 ignored; finished in 0.1s\n\
                    note: test result: ok. 9 passed; 9 failed;\n\
                    test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured\n";
        let tally = results(said);
        assert_eq!((tally.passed, tally.failed), (15, 2));
    }
}
