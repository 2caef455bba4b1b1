//! Boots and crashes that must go right, without any other guest.
//!
//! One boot runs the self-test; each way to crash gets a boot of its own. Two boots run at a time. Each check that
//! was made counts as one test; a boot that could not be made counts as one that failed.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::judge::{self, CRASHES, Crash};
use crate::qemu::{self, Boot, End, Machine};
use crate::steps::{say, step};
use crate::tally::Tally;
use crate::{image, paths};

/// The script of the main run.
const SCRIPT: &str = "-- selftest; status; counters; reboot";
/// A boot takes about a second; this is for a loaded machine.
const LIMIT: Duration = Duration::from_secs(30);

/// One check's name, and what was wrong.
type Check = (String, Result<(), String>);

/// `./run.sh smoke`
pub fn command() -> Result<()> {
    image::build()?;
    run()?.verdict("smoke")
}

/// All boots, with a built image.
pub fn run() -> Result<Tally> {
    let xen = step("prepare Xen", qemu::prepare)?;
    let tally = Mutex::new(Tally::default());
    let jobs = Mutex::new(std::iter::once(None).chain(CRASHES.iter().map(Some)));
    let work = || -> Result<()> {
        loop {
            let job = jobs.lock().unwrap_or_else(|e| e.into_inner()).next();
            let Some(job) = job else { return Ok(()) };
            let (checks, excerpt) = boot(&xen, job)?;
            report(checks, &excerpt, &mut tally.lock().unwrap_or_else(|e| e.into_inner()));
        }
    };
    let _ = step("smoke", || {
        thread::scope(|scope| {
            let workers = [scope.spawn(work), scope.spawn(work)];
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")))
        })?;
        match tally.lock().unwrap_or_else(|e| e.into_inner()).failed {
            0 => Ok(()),
            failed => bail!("{failed} checks"),
        }
    })
    .inspect_err(|_| {
        let mut tally = tally.lock().unwrap_or_else(|e| e.into_inner());
        tally.failed = tally.failed.max(1);
    });
    Ok(tally.into_inner().unwrap_or_else(|e| e.into_inner()))
}

/// One boot, its checks and the end of its console.
fn boot(xen: &std::path::Path, job: Option<&Crash>) -> Result<(Vec<Check>, String)> {
    let name = job.map_or("selftest", |crash| crash.word);
    let script = job.map_or(SCRIPT.to_owned(), |crash| format!("-- crash {}", crash.word));
    let (kernel, log) = (paths::image().join("grantkit"), format!("smoke-{name}"));
    let mut machine =
        Machine::boot(&Boot { xen, options: "", kernel: &kernel, arguments: &script, log: &log })?;
    // After a crash Xen would wait for five seconds before it reboots.
    let end = machine.run(LIMIT, |console| judge::crashed(&console.xen()), |_| ())?;
    let (guest, xen) = (machine.console().guest(), machine.console().xen());
    let checks = match job {
        None => vec![
            ("selftest".into(), judge::selftest(&guest)),
            ("status".into(), judge::ok_line(&guest, "status").map(drop)),
            ("counters".into(), judge::ok_line(&guest, "counters").map(drop)),
            ("no error lines".into(), judge::no_errors(&guest)),
            ("reboot".into(), rebooted(&end)),
        ],
        Some(crash) => vec![(format!("crash {}", crash.word), judge::crash(crash, &guest, &xen))],
    };
    Ok((checks, machine.excerpt()))
}

/// The guest ended the machine, and nothing else did.
fn rebooted(end: &End) -> Result<(), String> {
    match end {
        End::Exited(status) if status.success() => Ok(()),
        End::Exited(status) => Err(format!("QEMU ended with {status}")),
        End::Seen => Err("the guest crashed".into()),
        End::TimedOut => Err(format!("no end after {} s", LIMIT.as_secs())),
    }
}

fn report(checks: Vec<Check>, excerpt: &str, tally: &mut Tally) {
    let mut told = false;
    for (name, result) in checks {
        match result {
            Ok(()) => {
                tally.passed += 1;
                say(&format!("        ok: {name}"));
            }
            Err(why) => {
                tally.failed += 1;
                say(&format!("        FAILED: {name}: {why}"));
                told = true;
            }
        }
    }
    if told {
        say(excerpt);
    }
}
