//! Boots and crashes that must go right, without any other guest.
//!
//! One boot runs the self-test; each way to crash gets a boot of its own. Two boots run at a time.
//! Each check that was made counts as one test; a boot that could not be made counts as one that
//! failed.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::host::paths;
use crate::host::steps::{say, step};
use crate::judge::crash::{self, CRASHES, Crash};
use crate::judge::reply;
use crate::judge::tally::Tally;
use crate::lab::alone::{Boot, Machine};
use crate::lab::qemu;

/// The script of the main run.
const SCRIPT: &str = "-- selftest; status; counters; reboot";
/// A boot takes about a second; this is for a loaded machine.
const LIMIT: Duration = Duration::from_secs(30);

/// One check's name, and what was wrong.
type Check = (String, Result<(), String>);

/// All boots, with a built image.
pub fn run() -> Result<Tally> {
    let xen = step("prepare Xen", qemu::prepare)?;
    let tally = Mutex::new(Tally::default());
    let jobs = Mutex::new(std::iter::once(None).chain(CRASHES.iter().map(Some)));
    let work = || -> Result<()> {
        loop {
            let job = held(&jobs).next();
            let Some(job) = job else { return Ok(()) };
            let (checks, excerpt) = boot(&xen, job)?;
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

/// One boot, its checks and the end of its console.
fn boot(xen: &Path, job: Option<&Crash>) -> Result<(Vec<Check>, String)> {
    let name = job.map_or("selftest", |crash| crash.word);
    let script = job.map_or(SCRIPT.to_owned(), |crash| format!("-- crash {}", crash.word));
    let (kernel, log) = (paths::image().join("grantkit"), format!("smoke-{name}"));
    let mut machine =
        Machine::boot(&Boot { xen, options: "", kernel: &kernel, arguments: &script, log: &log })?;
    let end = machine.run_to_end(LIMIT)?;
    let (guest, xen) = (machine.console().guest(), machine.console().xen());
    let checks = match job {
        None => vec![
            ("selftest".into(), reply::all_passed(&guest, "selftest")),
            ("status".into(), reply::ok_line(&guest, "status").map(drop)),
            ("counters".into(), reply::ok_line(&guest, "counters").map(drop)),
            ("no error lines".into(), reply::no_errors(&guest)),
            ("reboot".into(), end.by_itself()),
        ],
        Some(crash) => vec![(format!("crash {}", crash.word), crash::crash(crash, &guest, &xen))],
    };
    Ok((checks, machine.excerpt()))
}

/// Tells how each check went, and shows the console if one failed.
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
