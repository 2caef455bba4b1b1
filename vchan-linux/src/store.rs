// SPDX-License-Identifier: MIT OR Apache-2.0
//! The few xenstore requests that a channel needs: over the daemon's socket where it runs, over
//! `/dev/xen/xenbus` elsewhere.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use drivers::{DomId, Errno, Error};
use xen_sys::io::xs_wire::{XENSTORE_PAYLOAD_MAX, XsMessageType};

use crate::{Linux, device, wait};

const SOCKET: &str = "/run/xenstored/socket";
const DEVICE: &str = "/dev/xen/xenbus";
/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection.
#[derive(Debug)]
pub(crate) struct Store {
    file: Arc<File>,
    /// Events of watches that came before an answer.
    events: u64,
}

fn lost(error: &io::Error) -> Error {
    Error::Local(device::errno(error), &"xenstore does not answer")
}

impl Store {
    pub(crate) fn connect() -> Result<Self, Error> {
        let file = match UnixStream::connect(SOCKET) {
            Ok(socket) => {
                socket.set_read_timeout(Some(PATIENCE)).map_err(|error| lost(&error))?;
                File::from(OwnedFd::from(socket))
            }
            Err(_) => {
                File::options().read(true).write(true).open(DEVICE).map_err(|error| lost(&error))?
            }
        };
        Ok(Self::over(file))
    }

    fn over(file: File) -> Self {
        Self { file: Arc::new(file), events: 0 }
    }

    /// Writes a node that only `reader` may read.
    pub(crate) fn publish(&mut self, path: &str, value: &[u8], reader: DomId) -> Result<(), Error> {
        let own = self.ask(XsMessageType::READ, &[b"domid\0"])?;
        let path = with_nul(path)?;
        let reader = format!("\0r{reader}\0");
        // The whole value at once: a reader who may already read it never sees another.
        self.ask(XsMessageType::WRITE, &[&path, value])?;
        self.ask(XsMessageType::SET_PERMS, &[&path, b"n", &own, reader.as_bytes()]).map(drop)
    }

    /// A node's value, if we may read it.
    pub(crate) fn look(&mut self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.ask(XsMessageType::READ, &[&with_nul(path)?]) {
            Ok(value) => Ok(Some(value)),
            Err(Error::XenStore(Errno::ENOENT | Errno::EACCES)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn ask(&mut self, kind: XsMessageType, payload: &[&[u8]]) -> Result<Vec<u8>, Error> {
        let payload = payload.concat();
        if payload.len() > XENSTORE_PAYLOAD_MAX {
            return Err(Error::Local(Errno::E2BIG, &"too long for xenstore"));
        }
        let header = [kind.0, 0, 0, payload.len() as u32].map(u32::to_le_bytes);
        // In one piece, which the device takes as one message.
        let message = [header.as_flattened(), &payload].concat();
        (&*self.file).write_all(&message).map_err(|error| lost(&error))?;
        loop {
            match self.receive()? {
                (XsMessageType::WATCH_EVENT, _) => self.events += 1,
                (XsMessageType::ERROR, name) => {
                    let name = name.strip_suffix(b"\0").unwrap_or(&name);
                    return Err(Error::XenStore(Errno::from_name(name).unwrap_or(Errno::EIO)));
                }
                (_, value) => return Ok(value),
            }
        }
    }

    fn receive(&mut self) -> Result<(XsMessageType, Vec<u8>), Error> {
        // The device itself would wait for ever. What it has to read is always a whole message.
        if !wait::is_readable_within(&self.file, PATIENCE) {
            return Err(Error::Local(Errno::ETIMEDOUT, &"xenstore does not answer"));
        }
        let mut header = [[0; 4]; 4];
        let mut file = &*self.file;
        file.read_exact(header.as_flattened_mut()).map_err(|error| lost(&error))?;
        let [kind, _, _, length] = header.map(u32::from_le_bytes);
        let length = length as usize;
        if length > XENSTORE_PAYLOAD_MAX {
            return Err(Error::Local(Errno::EIO, &"xenstore's answer is too long"));
        }
        let mut payload = vec![0; length];
        file.read_exact(&mut payload).map_err(|error| lost(&error))?;
        Ok((XsMessageType(kind), payload))
    }
}

/// A path as messages have it.
fn with_nul(path: &str) -> Result<Vec<u8>, Error> {
    let valid = !path.contains('\0');
    let path = valid.then(|| [path.as_bytes(), b"\0"].concat());
    path.ok_or(Error::Local(Errno::EINVAL, &"a path can't contain NUL"))
}

/// A node that we wrote. Dropping it removes it, and everything below.
#[derive(Debug)]
pub struct Node {
    host: Linux,
    path: String,
}

impl Node {
    pub(crate) fn new(host: Linux, path: &str) -> Self {
        Self { host, path: path.to_owned() }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may be gone already, with the domain's whole directory.
        let path = [self.path.as_bytes(), b"\0"].concat();
        let _ = self.host.store(|store| store.ask(XsMessageType::RM, &[&path]));
    }
}

/// A watch of a node, on a connection of its own.
#[derive(Debug)]
pub struct Watch(Store);

impl Watch {
    pub(crate) fn new(path: &str) -> Result<Self, Error> {
        let mut store = Store::connect()?;
        store.ask(XsMessageType::WATCH, &[&with_nul(path)?, b"vchan\0"])?;
        Ok(Self(store))
    }

    pub(crate) async fn change(&mut self) -> Result<(), Error> {
        let store = &mut self.0;
        poll_fn(move |_| {
            if store.events > 0 {
                store.events -= 1;
                return Poll::Ready(Ok(()));
            }
            if wait::is_readable_within(&store.file, Duration::ZERO) {
                return Poll::Ready(store.receive().map(drop));
            }
            wait::wake_when_readable(&store.file);
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of the daemon's.
    fn message(kind: XsMessageType, payload: &[u8]) -> Vec<u8> {
        let header = [kind.0, 0, 0, payload.len() as u32].map(u32::to_le_bytes);
        [header.as_flattened(), payload].concat()
    }

    /// A connection to a daemon that says this.
    fn store(said: &[Vec<u8>]) -> (Store, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(&said.concat()).expect("room");
        (Store::over(File::from(OwnedFd::from(ours))), theirs)
    }

    #[test]
    fn a_node_that_is_absent_or_forbidden_has_no_value() {
        for (name, value) in [
            (&b"ENOENT\0"[..], Ok(None)),
            (b"EACCES\0", Ok(None)),
            (b"EINVAL\0", Err(Error::XenStore(Errno::EINVAL))),
            (b"what", Err(Error::XenStore(Errno::EIO))),
        ] {
            let (mut store, _theirs) = store(&[message(XsMessageType::ERROR, name)]);
            assert_eq!(store.look("data/x"), value);
        }
    }

    #[test]
    fn an_event_before_an_answer_is_kept() {
        let said = [(XsMessageType::WATCH_EVENT, &b"p\0t\0"[..]), (XsMessageType::READ, b"17")];
        let (mut store, theirs) = store(&said.map(|(kind, payload)| message(kind, payload)));
        assert_eq!(store.look("p"), Ok(Some(b"17".to_vec())));
        // Nothing else comes, so a lost event would be an error.
        drop(theirs);
        assert_eq!(wait::block_on(Watch(store).change()), Ok(()));
    }

    #[test]
    fn a_node_is_written_whole_and_then_given_to_its_reader() {
        let done = |kind| message(kind, b"OK\0");
        let said = [
            message(XsMessageType::READ, b"5"),
            done(XsMessageType::WRITE),
            done(XsMessageType::SET_PERMS),
        ];
        let (mut store, mut theirs) = store(&said);
        let reader = DomId::new(7).expect("a domid");
        assert_eq!(store.publish("data/x", b"12", reader), Ok(()));
        drop(store);
        let mut asked = Vec::new();
        theirs.read_to_end(&mut asked).expect("requests");
        let requests = [
            message(XsMessageType::READ, b"domid\0"),
            message(XsMessageType::WRITE, b"data/x\x0012"),
            message(XsMessageType::SET_PERMS, b"data/x\0n5\0r7\0"),
        ];
        assert_eq!(asked, requests.concat());
    }

    #[test]
    fn a_daemon_that_is_gone_is_an_error() {
        let (mut store, theirs) = store(&[]);
        drop(theirs);
        assert!(store.look("data/x").is_err());
    }

    #[test]
    fn what_is_too_long_is_refused_both_ways() {
        let (mut store, _theirs) = store(&[message(XsMessageType::READ, &[0; 4097])]);
        let errno = |error: Error| error.errno();
        assert_eq!(store.look(&"x".repeat(4096)).map_err(errno), Err(Errno::E2BIG));
        assert_eq!(store.look("x\0").map_err(errno), Err(Errno::EINVAL));
        assert_eq!(store.look("x").map_err(errno), Err(Errno::EIO));
    }
}
