// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks byte channels on a real Xen: between two of our guests, and between ours and C's
//! libxenvchan.
//!
//! Two guests serve and connect to each other by commands at their prompts. Debian's
//! `vchan-socket-proxy`, which uses libxenvchan, is first the client of a guest's server and then
//! the server of its client; `plug` sends and receives at its Unix socket. A C program on the same
//! library follows, and a Rust program on `vchan-linux`, in dom0 and in a Linux domU. In the end the
//! guests' counts must be as before.

mod c; // a C program on libxenvchan
mod domu; // a program on the crate vchan-linux, in a Linux domU
mod linux; // the same program in dom0
mod ours; // two guests that find each other by name

use std::slice;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::extent::Run;
use crate::guests::config::{self, Settings};
use crate::guests::image;
use crate::guests::life::{self, PAIR};
use crate::host::steps::step;
use crate::judge::reply::{number, same_bytes, value};
use crate::judge::tally::Tally;
use crate::lab::qemu::Hardware;
use crate::lab::view::{self, Active};
use crate::lab::{self, Lab, dom0};

/// How long a whole transfer may take.
const LONG: Duration = Duration::from_secs(240);
/// How long a guest may take to report that its peer is gone; it notices within a second.
const SOON: Duration = Duration::from_secs(5);
/// The number of bytes of a long transfer between guests, and through a proxy.
const MANY: u64 = 64 << 20;
const THROUGH: u64 = 16 << 20;
/// Xen's option for dom0's memory: xl holds all of the domU's Linux at once.
const MEMORY_OF_DOM0: &str = "dom0_mem=272M,max:272M";
/// The number of round trips.
const TRIPS: u64 = 100_000;
/// The configuration of a guest whose shell has the channel commands.
const NAME: &str = "vchan";
/// Where servers publish, relative to their own domain.
const PATH: &str = "data/c";

/// Runs the tier with a built image: once, or in full five times.
pub fn run(run: &Run) -> Result<Tally> {
    let plug = dom0::program("plug")?;
    let channel = dom0::program_in_c("channel", "libxenvchan")?;
    let guest = config::files_of(NAME, &image::with_channels()?, Settings::none().memory(8))?;
    let trial = config::files(ours::NAME, Settings::none().memory(ours::MEMORY))?;
    let stream = dom0::program(linux::PROGRAM)?;
    let linux = lab::domu::files(slice::from_ref(&stream))?;
    let files = [&guest[..], &trial, &linux, &[plug, channel, stream]].concat();
    let dom0 = run.dom0(&files)?;
    let mut lab = step("boot the lab", || {
        Lab::boot_on(&Hardware::default(), MEMORY_OF_DOM0, &dom0, "vchan", "")
    })?;
    let mut tally = Tally::default();
    for round in 0..run.extent.of(1, 5) {
        life::clear(&mut lab)?;
        life::remove(&mut lab, lab::domu::NAME)?;
        for guest in PAIR {
            life::create(&mut lab, guest, NAME, &Settings::none())?;
            lab.says(guest, 0, "ready after")?;
        }
        // Grows everything that grows only once before the counts are taken: each shares and maps.
        sized(&mut lab, "1048576", 4 << 20)?;
        tally.told(&mut lab, "16 MiB both ways, C's proxy as the client", client)?;
        tally.told(&mut lab, "16 MiB both ways, C's proxy as the server", server)?;
        c::checks(&mut lab, &mut tally)?;
        linux::checks(&mut lab, run.extent, &mut tally)?;
        domu::checks(&mut lab, run.extent, &mut tally)?;
        let before = [lab.counts(PAIR[0])?, lab.counts(PAIR[1])?];
        tally.told(&mut lab, "64 MiB from the server", |lab| {
            rings(lab, &format!("source {MANY}"), &format!("sink {MANY}"))
        })?;
        tally.told(&mut lab, "64 MiB to the server", |lab| {
            rings(lab, &format!("sink {MANY}"), &format!("source {MANY}"))
        })?;
        tally.told(&mut lab, "100,000 messages of one byte, each answered", trips)?;
        for ring in ["1024", "2048", "4096", "1048576"] {
            tally.told(&mut lab, &format!("rings of {ring} bytes"), |lab| {
                sized(lab, ring, 1 << 20)
            })?;
        }
        tally.check(&mut lab, "fewer bytes than asked for are EPIPE", short)?;
        tally.check(&mut lab, "what can't be is refused with one error", refused)?;
        tally.check(&mut lab, "the guests' counts are as before", |lab| {
            let [one, two] = before;
            lab.counts(PAIR[0])?.but_heap().same(&one.but_heap())?;
            lab.counts(PAIR[1])?.but_heap().same(&two.but_heap())
        })?;
        tally
            .check(&mut lab, "a destroyed peer is noticed", |lab| destroyed(lab, round % 2 == 0))?;
        tally.check(&mut lab, "Linux notices a destroyed guest", linux::destroyed)?;
    }
    life::clear(&mut lab)?;
    ours::checks(&mut lab, run.extent, &mut tally)?;
    tally.witness(&mut lab, &[])?;
    Ok(tally)
}

/// Has the first of the pair serve and the second connect, and returns both result lines.
fn both(lab: &mut Lab, serve: &str, connect: &str) -> Result<[String; 2]> {
    let [one, two] = PAIR;
    let (client, server) = (there(lab, two)?, there(lab, one)?);
    let serves = lab.command(one, &format!("vchan serve {client} {PATH} {serve}"))?;
    let seen = format!("/local/domain/{server}/{PATH}");
    let connects = lab.command(two, &format!("vchan connect {server} {seen} {connect}"))?;
    Ok([lab.answer(one, serves, LONG)?, lab.answer(two, connects, LONG)?])
}

fn there(lab: &mut Lab, guest: &str) -> Result<u32> {
    lab.domid(guest)?.with_context(|| format!("no {guest}"))
}

/// Checks that both are `ok`, and that one received what the other sent.
fn agree([served, connected]: &[String; 2], bytes: u64) -> Result<()> {
    for line in [served, connected] {
        ensure!(line.starts_with("ok vchan ") && number(line, "bytes")? == bytes, "{line}");
    }
    same_bytes(served, connected)
}

/// Checks long transfers through rings of the default size, with at most two events per ring's
/// worth of bytes.
fn rings(lab: &mut Lab, serve: &str, connect: &str) -> Result<String> {
    let lines = both(lab, serve, connect)?;
    agree(&lines, MANY)?;
    let events = number(&lines[0], "events")? + number(&lines[1], "events")?;
    // One more announces the client.
    let most = 2 * MANY / 65_536 + 1;
    ensure!(events <= most, "{events} events, and no more than {most} are needed");
    Ok(format!("{events} events, crc32 {}", value(&lines[0], "crc32")?))
}

fn trips(lab: &mut Lab) -> Result<String> {
    let lines = both(lab, &format!("echo {TRIPS}"), &format!("ping {TRIPS}"))?;
    agree(&lines, TRIPS)?;
    let events = number(&lines[0], "events")? + number(&lines[1], "events")?;
    ensure!(events <= 2 * TRIPS + 4, "{events} events for {TRIPS} round trips");
    Ok(format!("{events} events, {} ns each", value(&lines[1], "rtt")?))
}

/// Checks transfers both ways through rings of another size.
fn sized(lab: &mut Lab, ring: &str, bytes: u64) -> Result<String> {
    let lines = both(lab, &format!("source {bytes} ring={ring}"), &format!("sink {bytes}"))?;
    agree(&lines, bytes)?;
    let back = both(lab, &format!("sink {bytes} ring={ring}"), &format!("source {bytes}"))?;
    agree(&back, bytes)?;
    Ok(format!("crc32 {}", value(&lines[0], "crc32")?))
}

fn short(lab: &mut Lab) -> Result<()> {
    let [served, connected] = both(lab, "source 1000", "sink 1001")?;
    ensure!(served.starts_with("ok vchan serve bytes=1000 "), "{served}");
    ensure!(
        connected.contains(" errno=EPIPE ") && connected.contains(" bytes=1000 "),
        "{connected}"
    );
    Ok(())
}

/// Sizes out of range, paths that are none or too long, domains that are not there.
fn refused(lab: &mut Lab) -> Result<()> {
    let guest = PAIR[0];
    let long = "x".repeat(150);
    for (command, errno) in [
        (format!("vchan serve 0 {PATH} echo 1 ring=1023"), "EINVAL"),
        (format!("vchan serve 0 {PATH} echo 1 ring=1048577"), "EINVAL"),
        (format!("vchan serve 0 {PATH} echo 1 ring=x"), "EINVAL"),
        (format!("vchan serve 32752 {PATH} echo 1"), "EINVAL"),
        (format!("vchan connect 0 //{PATH} echo 1"), "EINVAL"),
        (format!("vchan serve 0 /local/domain/0/{PATH} echo 1"), "EACCES"),
        (format!("vchan connect 0 {}/{long} echo 1", vec![long.clone(); 20].join("/")), "E2BIG"),
    ] {
        let line = lab.answered(guest, &command)?;
        ensure!(line.contains(&format!(" errno={errno} ")), "`{command}`: {line}");
    }
    Ok(())
}

/// Has the guest serve, and dom0's proxy connect.
fn client(lab: &mut Lab) -> Result<String> {
    let guest = PAIR[0];
    let domid = there(lab, guest)?;
    let mark = lab.command(guest, &format!("vchan serve 0 {PATH} echo {THROUGH}"))?;
    let path = format!("/local/domain/{domid}/{PATH}");
    // Each round has its own: a proxy that is killed leaves it behind.
    let socket = format!("/tmp/client-{domid}");
    let proxy = lab.start(&["vchan-socket-proxy", &domid.to_string(), &path, &socket])?;
    let bytes = THROUGH.to_string();
    let plug = lab.start(&["./plug", "connect", &socket, &bytes, &bytes])?;
    let told = through(lab, guest, mark, plug);
    // Both run until they are killed.
    lab.kill(proxy)?;
    lab.kill(plug)?;
    told
}

/// Has dom0's proxy serve, and the guest connect.
fn server(lab: &mut Lab) -> Result<String> {
    let guest = PAIR[0];
    let domid = there(lab, guest)?;
    let (socket, bytes) = (format!("/tmp/server-{domid}"), THROUGH.to_string());
    let plug = lab.start(&["./plug", "listen", &socket, &bytes, &bytes])?;
    let path = format!("/local/domain/0/{PATH}");
    let ready = |lab: &Lab| lab.output(plug).contains("ready").then_some(());
    lab.until(SOON, ready).context("no plug")?;
    let mode = "--mode=server";
    let proxy = lab.start(&["vchan-socket-proxy", mode, &domid.to_string(), &path, &socket])?;
    let mark = lab.command(guest, &format!("vchan connect 0 {path} echo {THROUGH}"))?;
    let told = through(lab, guest, mark, plug);
    lab.kill(proxy)?;
    lab.kill(plug)?;
    told
}

/// Checks that what went through the proxy and came back is what was sent.
fn through(lab: &mut Lab, guest: &str, mark: usize, plug: u32) -> Result<String> {
    let line = lab.answer(guest, mark, LONG)?;
    ensure!(line.starts_with("ok vchan ") && number(&line, "bytes")? == THROUGH, "{line}");
    let told = |lab: &Lab| lab.written(plug).into_iter().find(|line| line.starts_with("ok plug "));
    let said = lab.until(LONG, told).context("no result from the plug")?;
    let crc = value(&line, "crc32")?;
    ensure!(value(&said, "crc32")? == crc && value(&said, "crc")? == crc, "{line}, but {said}");
    Ok(format!("crc32 {crc}"))
}

/// Destroys one of two guests that wait for each other: the other must report it, and work with the
/// next.
fn destroyed(lab: &mut Lab, the_client: bool) -> Result<()> {
    let [one, two] = PAIR;
    let (client, server) = (there(lab, two)?, there(lab, one)?);
    let serves = lab.command(one, &format!("vchan serve {client} {PATH} echo 10"))?;
    let seen = format!("/local/domain/{server}/{PATH}");
    let connects = lab.command(two, &format!("vchan connect {server} {seen} sink 10"))?;
    let (dies, lives, mark) = if the_client { (two, one, serves) } else { (one, two, connects) };
    connected(lab, server, client)?;
    lab.xl(&["destroy", dies])?;
    let line = lab.answer(lives, mark, SOON)?;
    ensure!(line.contains(" errno=EPIPE ") && line.contains(" bytes=0 "), "{line}");
    life::forget(lab, dies)?;
    life::create(lab, dies, NAME, &Settings::none())?;
    lab.says(dies, 0, "ready after")?;
    agree(&both(lab, "source 100000", "sink 100000")?, 100_000)
}

/// Waits until the client maps the server's pages.
fn connected(lab: &mut Lab, server: u32, client: u32) -> Result<()> {
    let end = Instant::now() + SOON;
    let between = |active: &Active| active.granter == server && active.mapper == client;
    // The control page, and sixteen for each ring.
    while view::grants(lab)?.iter().filter(|active| between(active)).count() < 33 {
        ensure!(Instant::now() < end, "they don't connect");
    }
    Ok(())
}
