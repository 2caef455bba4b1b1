// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boots and crashes of one guest in dom0's place.
//!
//! One boot runs the self-test, and another one does so on a later Xen; each way to crash gets a
//! boot of its own. Two boots run at a time. A boot that fails to start counts as one failed check.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use super::extent::Run;
use crate::host::paths;
use crate::host::steps::{say, step};
use crate::judge::crash::{self, CRASHES, Crash};
use crate::judge::reply;
use crate::judge::tally::Tally;
use crate::judge::witness::{self, Expected, Ours, Seen};
use crate::lab::alone::{Boot, Machine};
use crate::lab::apt::Release;
use crate::lab::{debian, qemu};

/// The commands of the self-test's boot.
const SCRIPT: &str = "-- selftest; status; counters; reboot";
/// A boot takes about a second; this is enough for a loaded machine.
const LIMIT: Duration = Duration::from_secs(30);

/// What Xen logs about a guest that asks for a reboot.
const REBOOTED: Expected = Expected {
    line: "Hardware Dom0 shutdown: rebooting machine",
    seen: Seen::Always,
    why: "the guest reboots",
};
/// What it logs during the self-test: a read-only grant mapped writable, a reference and a domain
/// that don't exist, a 129th mapping.
const REFUSED: [Expected; 4] = [
    refused("common/grant_table.c:*:d0v0 Attempt to write-pin a r/o grant entry"),
    refused("common/grant_table.c:*:d0v0 Bad ref 0x7fffffff for d0"),
    refused("common/grant_table.c:*:d0v0 Could not find domain 32736"),
    refused("common/grant_table.c:*:d0v0 Bad domain (0 != 0), or risk of counter overflow *"),
];
/// What it logs about a guest that crashes.
const CRASHED: Expected = Expected {
    line: "Hardware Dom0 crashed: rebooting machine in 5 seconds.",
    seen: Seen::Always,
    why: "the guest crashes",
};
/// What it logs about a guest that it has to end because its stack is gone.
const ENDED: [Expected; 2] = [
    Expected { line: "Domain 0 (vcpu#0) crashed on cpu#0:", ..CRASHED },
    Expected { line: "RFLAGS: * CONTEXT: pv guest (d0v0)", ..CRASHED },
];

const fn refused(line: &'static str) -> Expected {
    Expected { line, seen: Seen::Debug, why: "the self-test asks for what must be refused" }
}

/// A check's name and result.
type Check = (String, Result<(), String>);

/// One boot: the self-test, or a crash.
struct Job<'a> {
    name: &'static str,
    xen: &'a Path,
    crash: Option<&'static Crash>,
}

/// Runs all boots, with a built image.
pub fn run(run: &Run) -> Result<Tally> {
    let xen = step("prepare Xen", || qemu::prepare(run.xen.as_deref()))?;
    // Unless a Xen is given, the self-test also runs on a later one.
    let later = match run.xen {
        None => Some(step("prepare Debian 13's Xen", || debian::xen(Release::named("trixie")))?),
        Some(_) => None,
    };
    let job = |name, crash| Job { name, xen: &xen, crash };
    let crashes = CRASHES.iter().map(|crash| job(crash.word, Some(crash)));
    let later = later.iter().map(|xen| Job { name: "debian13", xen, crash: None });
    let tally = Mutex::new(Tally::default());
    let jobs = Mutex::new(std::iter::once(job("selftest", None)).chain(later).chain(crashes));
    let work = || -> Result<()> {
        loop {
            let job = held(&jobs).next();
            let Some(job) = job else { return Ok(()) };
            let (checks, excerpt) = boot(&job)?;
            report(checks, &excerpt, &mut held(&tally));
        }
    };
    let passed = step("smoke", || {
        thread::scope(|scope| {
            let workers = [scope.spawn(work), scope.spawn(work)];
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")))
        })?;
        match held(&tally).failed {
            0 => Ok(()),
            failed => bail!("{failed} checks"),
        }
    });
    let mut tally = *held(&tally);
    if passed.is_err() {
        tally.failed = tally.failed.max(1);
    }
    Ok(tally)
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Boots once, and returns the checks and the end of the console.
fn boot(job: &Job) -> Result<(Vec<Check>, String)> {
    let &Job { name, xen, crash } = job;
    let script = crash.map_or(SCRIPT.to_owned(), |crash| format!("-- crash {}", crash.word));
    let (kernel, log) = (paths::image().join("grantkit"), format!("smoke-{name}"));
    let mut machine = Machine::boot(&Boot {
        xen,
        options: "",
        kernel: &kernel,
        arguments: &script,
        log: &log,
        exact: false,
    })?;
    let end = machine.run_to_end(LIMIT)?;
    let (guest, xen) = (machine.console().guest(), machine.console().xen());
    let mut checks = match crash {
        None => vec![
            (name.into(), reply::all_passed(&guest, "selftest")),
            (format!("{name}: status"), reply::ok_line(&guest, "status").map(drop)),
            (format!("{name}: counters"), reply::ok_line(&guest, "counters").map(drop)),
            (format!("{name}: no error lines"), reply::no_errors(&guest)),
            (format!("{name}: reboot"), end.by_itself()),
        ],
        Some(crash) => vec![(format!("crash {}", crash.word), crash::crash(crash, &guest, &xen))],
    };
    let expected = match crash {
        None => [&REFUSED[..], &[REBOOTED]].concat(),
        Some(crash) if crash.signs.is_empty() => [&ENDED[..], &[CRASHED]].concat(),
        Some(_) => vec![CRASHED],
    };
    let witness = witness::heard(&xen, Ours::Dom0, &expected);
    checks.push((format!("{name}: Xen's log"), witness));
    Ok((checks, machine.excerpt()))
}

/// Prints and counts each check's result, and shows the console if one failed.
fn report(checks: Vec<Check>, excerpt: &str, tally: &mut Tally) {
    for (name, result) in &checks {
        match result {
            Ok(()) => say(&format!("        ok: {name}")),
            Err(why) => say(&format!("        FAILED: {name}: {why}")),
        }
        tally.count(result.is_ok());
    }
    if checks.iter().any(|(_, result)| result.is_err()) {
        say(excerpt);
    }
}
