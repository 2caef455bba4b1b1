// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first process of the lab's dom0: starts Xen's daemons, runs programs, forwards the guests'
//! consoles.
//!
//! The lab's driver sends it frames on the second serial line (the first is Xen's). When it ends,
//! the kernel panics and the machine resets, which the driver notices. So it ends only on errors
//! that keep it from serving.

mod boot; // from a bare kernel to Xen's daemons
mod consoles; // what guests write, and what is typed
mod kernel; // programs that the kernel ended
mod line; // the serial line
mod programs; // programs run for the driver
mod xenstore; // the few requests that are needed

use std::io::BufRead;
use std::thread;

use anyhow::{Result, bail};
use dom0::frame;

fn main() -> Result<()> {
    let versions = boot::boot()?;
    let commands = line::open()?;
    let logs = consoles::Logs::watch()?;
    thread::spawn(|| tell(logs.follow()));
    thread::spawn(|| tell(kernel::follow()));
    line::send("ready", versions.as_bytes())?;
    for line in commands.split(b'\n') {
        if let Some((channel, bytes)) = frame::decode(&line?) {
            tell(obey(channel, &bytes));
        }
    }
    bail!("the serial line is closed")
}

fn obey(channel: &str, bytes: &[u8]) -> Result<()> {
    match channel.split_once('.') {
        Some(("run", id)) => programs::start(id.to_owned(), bytes),
        Some(("feed", id)) => programs::feed(id, bytes),
        Some(("kill", id)) => programs::kill(id),
        Some(("type", guest)) => consoles::type_on(guest, bytes),
        Some(("domid", guest)) => {
            let domid = xenstore::Xenstore::connect()?.domid(guest)?;
            line::send(channel, domid.map(|n| n.to_string()).unwrap_or_default().as_bytes())
        }
        Some(("node", path)) => {
            line::send(channel, xenstore::Xenstore::connect()?.wait(path)?.as_bytes())
        }
        Some(("value", path)) => {
            line::send(channel, xenstore::Xenstore::connect()?.read(path)?.as_bytes())
        }
        Some(("write", path)) => {
            let value = String::from_utf8_lossy(bytes);
            xenstore::Xenstore::connect()?.write(path, &value)?;
            line::send(channel, b"")
        }
        _ => bail!("unknown command {channel}"),
    }
}

/// Reports an error, without ending the agent.
fn tell(result: Result<()>) {
    if let Err(error) = result {
        let _ = line::send("trouble", format!("{error:#}").as_bytes());
    }
}
