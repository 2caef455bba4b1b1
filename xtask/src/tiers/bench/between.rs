// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures events and a channel between two guests that xl created, and between a guest and a
//! program on libxenvchan in dom0.
//!
//! One end measures, and prints its rows at the end; until then dom0 has nothing to do. A guest
//! that crashes, fails or ends early fails the bench at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::guests::config::{self, Settings};
use crate::guests::image;
use crate::guests::life::{self, GUEST, PAIR};
use crate::judge::bench::counted;
use crate::lab::{Lab, PATIENCE};

/// The trial, and its configuration.
const NAME: &str = "between";
/// Round trips, and MiB of a stream, in each of the runs.
const TRIPS: u32 = 1000;
const MIB: u32 = 4;
/// The trips of all runs.
pub const ALL_TRIPS: u32 = 5 * TRIPS;
/// It takes 10 s on an idle processor.
const LIMIT: Duration = Duration::from_secs(300);
/// Where the program in dom0 publishes its channel.
const PATH: &str = "/local/domain/0/data/bench";
/// The C program.
pub const PROGRAM: &str = "trips";

/// The order in which guests are created: two, of which the second measures; then one with dom0.
pub const CONNECTS: usize = 1;
pub const TO_LINUX: usize = 2;
pub const GUESTS: usize = 3;

/// Builds the guest.
pub fn kernel() -> Result<PathBuf> {
    image::fastest_guest(NAME)
}

/// Returns the files that dom0 needs. Xen lets the guest read the time stamp counter itself.
pub fn files(kernel: &Path) -> Result<[PathBuf; 2]> {
    let settings = Settings::none().memory(16).text("tsc_mode", "native");
    config::files_of(NAME, kernel, settings)
}

/// How often the unit of a row is done in a run: a round trip, or a MiB.
pub fn times(n: u32) -> u32 {
    if n == 1 { TRIPS } else { MIB }
}

/// Whether it is an operation that is measured here.
pub fn measures(op: &str) -> bool {
    op == counted::BOOT || op == "ping-pong" || op.starts_with("vchan-")
}

/// Whether it is one that a guest does together with dom0.
pub fn is_with_linux(op: &str) -> bool {
    op.starts_with("vchan-linux-")
}

/// Returns what the measuring one of two guests printed.
pub fn guests(lab: &mut Lab) -> Result<Vec<String>> {
    for (guest, end) in PAIR.into_iter().zip(["listens", "connects"]) {
        create(lab, guest, &format!("end={end}"))?;
    }
    let lines = finished(lab, PAIR[1], &PAIR)?;
    life::clear(lab)?;
    Ok(lines)
}

/// Returns what a guest measured with a server on libxenvchan in dom0.
pub fn with_linux(lab: &mut Lab) -> Result<Vec<String>> {
    let domid = create(lab, GUEST, &format!("end=linux path={PATH}"))?;
    let server = start(lab, "server", domid)?;
    let lines = finished(lab, GUEST, &[GUEST])?;
    lab.finish(server)?;
    life::clear(lab)?;
    Ok(lines)
}

/// Returns what a client on libxenvchan measured with a server of the same kind; both run in dom0.
pub fn linux_alone(lab: &mut Lab) -> Result<Vec<String>> {
    let server = start(lab, "server", 0)?;
    let ready = |lab: &Lab| lab.output(server).contains("ready").then_some(());
    lab.until(PATIENCE, ready).with_context(|| lab.output(server))?;
    let client = start(lab, "client", 0)?;
    let said = lab.finish_within(client, LIMIT)?;
    lab.finish(server)?;
    Ok(said.lines().map(str::to_owned).collect())
}

fn create(lab: &mut Lab, guest: &str, end: &str) -> Result<u32> {
    let settings = Settings::none().extra(&format!("{end} trips={TRIPS} mib={MIB}"));
    life::create(lab, guest, NAME, &settings)
}

fn start(lab: &mut Lab, role: &str, peer: u32) -> Result<u32> {
    let program = format!("./{PROGRAM}");
    let [peer, trips, mib] = [peer, TRIPS, MIB].map(|number| number.to_string());
    lab.start(&[&program, role, &peer, PATH, &trips, &mib])
}

/// Waits until `measures` has finished, while none of `all` fails.
fn finished(lab: &mut Lab, measures: &str, all: &[&str]) -> Result<Vec<String>> {
    let end = |lab: &Lab| {
        let done = |guest: &str| lab.lines(guest).iter().any(|line| line.starts_with("ok bench "));
        let wrong = all.iter().find_map(|guest| failed(lab, guest));
        wrong.map(Err).or_else(|| done(measures).then(|| Ok(lab.lines(measures))))
    };
    match lab.until(LIMIT, end).with_context(|| format!("{measures} does not finish"))? {
        Ok(lines) => Ok(lines),
        Err(why) => bail!(why),
    }
}

/// How a guest failed, if it did.
fn failed(lab: &Lab, guest: &str) -> Option<String> {
    if let Some(line) = lab.lines(guest).into_iter().find(|line| line.starts_with("error ")) {
        return Some(format!("{guest}: {line}"));
    }
    let how = match (lab.crashed(guest), lab.ended(guest)) {
        (true, _) => "crashed",
        (_, true) => "ended",
        _ => return None,
    };
    Some(format!("{guest} {how} before all was measured"))
}
