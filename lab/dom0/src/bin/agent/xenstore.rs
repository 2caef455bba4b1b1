// SPDX-License-Identifier: MIT OR Apache-2.0
//! The few xenstore requests that the agent needs, over the daemon's socket.
//!
//! Every wait is bounded by the socket's timeout.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use xen_sys::io::xs_wire::{XENSTORE_PAYLOAD_MAX, XsMessageType};

const SOCKET: &str = "/run/xenstored/socket";
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to xenstored.
pub struct Xenstore(UnixStream);

impl Xenstore {
    pub fn connect() -> Result<Xenstore> {
        let socket = UnixStream::connect(SOCKET)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Xenstore(socket))
    }

    /// Returns the domid of the domain called `name`.
    pub fn domid(&mut self, name: &str) -> Result<Option<u32>> {
        for domid in self.ask(XsMessageType::DIRECTORY, "/local/domain\0")?.split_terminator('\0') {
            // The domain may be gone by now.
            if self
                .ask(XsMessageType::READ, &format!("/local/domain/{domid}/name\0"))
                .is_ok_and(|n| n == name)
            {
                return Ok(domid.parse().ok());
            }
        }
        Ok(None)
    }

    /// Waits until a node has a value, and returns it.
    pub fn wait(&mut self, path: &str) -> Result<String> {
        self.ask(XsMessageType::WATCH, &format!("{path}\0agent\0"))?;
        loop {
            // A watch fires once when it is set, then at every change.
            while self.receive()?.0 != XsMessageType::WATCH_EVENT {}
            match self.ask(XsMessageType::READ, &format!("{path}\0")) {
                Ok(value) if !value.is_empty() => return Ok(value),
                _ => {}
            }
        }
    }

    /// Returns the value of an existing node.
    pub fn read(&mut self, path: &str) -> Result<String> {
        self.ask(XsMessageType::READ, &format!("{path}\0"))
    }

    /// Writes a node.
    pub fn write(&mut self, path: &str, value: &str) -> Result<()> {
        self.ask(XsMessageType::WRITE, &format!("{path}\0{value}")).map(drop)
    }

    fn ask(&mut self, kind: XsMessageType, payload: &str) -> Result<String> {
        let header = [kind.0, 0, 0, u32::try_from(payload.len())?].map(u32::to_le_bytes).concat();
        self.0.write_all(&[&header, payload.as_bytes()].concat())?;
        loop {
            match self.receive()? {
                (XsMessageType::WATCH_EVENT, _) => {}
                (XsMessageType::ERROR, reason) => {
                    bail!("xenstore: {}", reason.trim_end_matches('\0'))
                }
                (_, reply) => return Ok(reply),
            }
        }
    }

    fn receive(&mut self) -> Result<(XsMessageType, String)> {
        let mut header = [[0; 4]; 4];
        self.0.read_exact(header.as_flattened_mut())?;
        let [kind, _, _, length] = header.map(u32::from_le_bytes);
        let length = length as usize;
        ensure!(length <= XENSTORE_PAYLOAD_MAX, "xenstore: a reply of {length} bytes");
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload)?;
        Ok((XsMessageType(kind), String::from_utf8_lossy(&payload).into_owned()))
    }
}
