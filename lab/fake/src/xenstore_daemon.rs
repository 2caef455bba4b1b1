// SPDX-License-Identifier: MIT OR Apache-2.0
//! The xenstore daemon on FakeXen: rings, requests and watches, and the faults that a test injects.
//!
//! It works between the guests' turns, like a daemon in dom0, and moves at most as many bytes per
//! turn as the test allows. It panics on what a correct guest never sends: a message that is too
//! long, or a string without its terminating zero byte.

use core::sync::atomic::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use xen_sys::io::xs_wire::{XENSTORE_PAYLOAD_MAX, XENSTORE_RING_SIZE, XsMessageType};

use super::domain::XENSTORE_PORT;
use super::xenstore::{Node, Perms, keep_permissions, matches};
use super::{FakeXen, World, WorldState};
use drivers::Errno;

/// The most watches that one domain may have.
const QUOTA_WATCHES: usize = 128;
const HEADER: usize = 16;

/// One domain's connection.
#[derive(Debug)]
pub(super) struct Connection {
    input: Vec<u8>,
    output: VecDeque<u8>,
    /// Path as given, absolute path, token.
    watches: Vec<(String, String, String)>,
    /// The most bytes moved in each direction per turn.
    pace: usize,
    requests: u64,
    /// The errors of requests that are to fail, by the request's number, from 1.
    failures: BTreeMap<u64, &'static str>,
}

impl World {
    /// Writes a node as dom0's tools do, and fires the watches on it.
    pub fn xenstore_write(&self, path: &str, value: &str) {
        let state = &mut *self.lock();
        let changed = state.store.write(0, 0, path, Some(value.as_bytes())).expect("dom0 may");
        state.fire(&changed, &[]);
    }

    /// Creates what libxl creates in xenstore for a domain, which no test runs.
    pub fn xenstore_domain(&self, domid: u16) {
        self.lock().store.make_domain(domid, 0, 0);
    }

    /// Returns a node's value as dom0 reads it; `None` if there is no such node.
    pub fn xenstore_read(&self, path: &str) -> Option<String> {
        let node = self.lock().store.tree.get(path).cloned();
        node.map(|node| String::from_utf8_lossy(&node.value).into_owned())
    }

    /// Writes a node below the guest's home for all to read, as the guest itself could.
    pub fn xenstore_publish(&self, domid: u16, rest: &str, value: &[u8]) {
        let path = format!("/local/domain/{domid}/{rest}");
        let state = &mut *self.lock();
        state.store.write(domid, 0, &path, Some(value)).expect("a guest may write its data");
        let perms = Perms::from([(true, false, domid)]);
        let changed = state.store.set_perms(domid, 0, &path, perms).expect("its own node");
        state.fire(&changed, &[]);
    }

    /// From now on, makes the daemon keep permissions for domains that don't exist, as oxenstored
    /// does. By default it drops them, like the C daemon.
    pub fn xenstore_keeps_permissions(&self) {
        self.lock().store.keeps_permissions = true;
    }

    /// Stops the daemon or lets it continue, to make a guest wait.
    pub fn xenstore_daemon(&self, running: bool) {
        self.lock().store.running = running;
    }
}

impl FakeXen {
    /// Makes the `nth` request from now, counted from 1, fail with the error of this name, such as
    /// `"EAGAIN"`.
    pub fn xenstore_fail(&self, nth: u64, name: &'static str) {
        self.connection(|connection| {
            connection.failures.insert(connection.requests + nth, name);
        });
    }

    /// Returns the number of requests that this guest has made.
    pub fn xenstore_requests(&self) -> u64 {
        self.connection(|connection| connection.requests)
    }

    /// Returns the number of watches that this guest has set.
    pub fn xenstore_watches(&self) -> usize {
        self.connection(|connection| connection.watches.len())
    }

    /// Returns the number of transactions that this guest has open.
    pub fn xenstore_transactions(&self) -> usize {
        self.world.lock().store.open_transactions(self.domid)
    }

    /// Makes the daemon move at most `bytes` bytes at a time, so that messages arrive in pieces.
    pub fn xenstore_pace(&self, bytes: usize) {
        self.connection(|connection| connection.pace = bytes);
    }

    /// Inserts bytes into the stream of answers, as a broken daemon would.
    pub fn xenstore_garbage(&self, bytes: &[u8]) {
        self.connection(|connection| connection.output.extend(bytes));
    }

    /// Writes `value` to an index of the daemon's, and notifies the guest: to `rsp_prod` if
    /// `answers`, else to `req_cons`. For impossible values.
    pub fn xenstore_index(&self, answers: bool, value: u32) {
        self.xenstore_index_untold(answers, value);
        self.of(&mut self.world.lock()).set_pending(XENSTORE_PORT);
    }

    /// Like [`FakeXen::xenstore_index`], without an event.
    pub fn xenstore_index_untold(&self, answers: bool, value: u32) {
        let ring = &self.pages.xenstore;
        let index = if answers { &ring.rsp_prod } else { &ring.req_cons };
        index.store(value, Ordering::SeqCst);
    }

    fn connection<R>(&self, look: impl FnOnce(&mut Connection) -> R) -> R {
        let state = &mut *self.world.lock();
        look(state.store.connections.get_mut(&self.domid).expect("a domain with xenstore"))
    }
}

impl WorldState {
    /// Connects a new domain.
    pub(super) fn introduce(&mut self, domid: u16) {
        let config = self.domain(domid).config;
        let connection = Connection {
            input: Vec::new(),
            output: VecDeque::new(),
            watches: Vec::new(),
            pace: XENSTORE_RING_SIZE,
            requests: 0,
            failures: BTreeMap::new(),
        };
        self.store.make_domain(domid, config.pages, config.max_pages);
        self.store.connections.insert(domid, connection);
    }

    /// Removes a destroyed domain's nodes, and fires the watches of whoever could read them.
    pub(super) fn release(&mut self, domid: u16) {
        let gone = self.store.remove_domain(domid);
        self.fire(&[], &gone);
    }

    /// Runs one turn of the daemon. Returns whether it moved anything.
    pub(super) fn xenstored(&mut self) -> bool {
        if !self.store.running {
            return false;
        }
        let domids: Vec<u16> = self.store.connections.keys().copied().collect();
        domids.into_iter().fold(false, |moved, domid| self.serve(domid) | moved)
    }

    fn serve(&mut self, domid: u16) -> bool {
        let pages = self.domain(domid).pages.clone();
        let (ring, size) = (&pages.xenstore, XENSTORE_RING_SIZE);
        let Some(connection) = self.store.connections.get_mut(&domid) else {
            return false;
        };
        let (prod, mut cons) =
            (ring.req_prod.load(Ordering::SeqCst), ring.req_cons.load(Ordering::SeqCst));
        let ready = prod.wrapping_sub(cons) as usize;
        let (out_cons, mut out_prod) =
            (ring.rsp_cons.load(Ordering::SeqCst), ring.rsp_prod.load(Ordering::SeqCst));
        let unread = out_prod.wrapping_sub(out_cons) as usize;
        if ready > size || unread > size {
            // A test wrote an impossible index.
            return false;
        }
        let taken = ready.min(connection.pace);
        for _ in 0..taken {
            connection.input.push(ring.req[cons as usize % size].load(Ordering::SeqCst));
            cons = cons.wrapping_add(1);
        }
        ring.req_cons.store(cons, Ordering::SeqCst);
        let given = connection.output.len().min(size - unread).min(connection.pace);
        for byte in connection.output.drain(..given) {
            ring.rsp[out_prod as usize % size].store(byte, Ordering::SeqCst);
            out_prod = out_prod.wrapping_add(1);
        }
        ring.rsp_prod.store(out_prod, Ordering::SeqCst);
        let mut input = core::mem::take(&mut connection.input);
        while let Some((words, payload)) = split(&mut input) {
            self.request(domid, words, &payload);
        }
        if let Some(connection) = self.store.connections.get_mut(&domid) {
            connection.input = input;
        }
        let moved = taken + given > 0;
        if moved {
            self.domain(domid).set_pending(XENSTORE_PORT);
        }
        moved
    }

    fn request(&mut self, domid: u16, [kind, id, tx, _]: [u32; 4], payload: &[u8]) {
        let kind = XsMessageType(kind);
        let Some(connection) = self.store.connections.get_mut(&domid) else {
            return;
        };
        connection.requests += 1;
        let answer = match connection.failures.remove(&connection.requests) {
            Some(name) => Err(name),
            None => self.carry_out(domid, kind, tx, payload).map_err(Errno::name),
        };
        let (kind, payload) = match answer {
            Ok(payload) => (kind, payload),
            Err(name) => (XsMessageType::ERROR, format!("{name}\0").into_bytes()),
        };
        self.put(domid, [kind.0, id, tx], &payload);
        // A new watch fires at once.
        if kind == XsMessageType::WATCH
            && let Some((path, _, token)) = self.store.connections[&domid].watches.last()
        {
            let event = format!("{path}\0{token}\0").into_bytes();
            self.put(domid, [XsMessageType::WATCH_EVENT.0, 0, 0], &event);
        }
    }

    fn put(&mut self, domid: u16, words: [u32; 3], payload: &[u8]) {
        if let Some(connection) = self.store.connections.get_mut(&domid) {
            let header = words.into_iter().chain([payload.len() as u32]);
            connection.output.extend(header.flat_map(u32::to_le_bytes));
            connection.output.extend(payload);
        }
    }

    fn carry_out(
        &mut self,
        domid: u16,
        kind: XsMessageType,
        tx: u32,
        payload: &[u8],
    ) -> Result<Vec<u8>, Errno> {
        const OK: &[u8] = b"OK\0";
        let end = payload.iter().position(|byte| *byte == 0).expect("a zero byte ends a string");
        let given = str::from_utf8(&payload[..end]).expect("a path is text").to_string();
        let rest = &payload[end + 1..];
        let word = || rest.split(|byte| *byte == 0).next().unwrap_or_default();
        match kind {
            XsMessageType::TRANSACTION_START => {
                return self.store.begin(domid).map(|id| format!("{id}\0").into_bytes());
            }
            XsMessageType::TRANSACTION_END => {
                let changed = self.store.end(domid, tx, given == "T")?;
                self.fire(&changed, &[]);
                return Ok(OK.to_vec());
            }
            _ => {}
        }
        let path = absolute(domid, &given)?;
        let mut gone = Vec::new();
        let changed = match kind {
            XsMessageType::READ => {
                return Ok(self.store.get(domid, tx, &path, false)?.value.clone());
            }
            XsMessageType::DIRECTORY => return self.store.directory(domid, tx, &path),
            XsMessageType::GET_PERMS => {
                let perms = self.store.get(domid, tx, &path, false)?.perms.clone();
                return Ok(format_perms(&perms));
            }
            XsMessageType::WRITE => self.store.write(domid, tx, &path, Some(rest))?,
            XsMessageType::MKDIR => self.store.write(domid, tx, &path, None)?,
            XsMessageType::RM => {
                gone = self.store.remove(domid, tx, &path)?;
                Vec::new()
            }
            XsMessageType::SET_PERMS => {
                let mut perms = parse_perms(rest)?;
                if !self.store.keeps_permissions {
                    let there = |domid| domid == 0 || self.resolve(domid, domid).is_some();
                    keep_permissions(&mut perms, there);
                }
                self.store.set_perms(domid, tx, &path, perms)?
            }
            XsMessageType::WATCH => {
                let token = String::from_utf8_lossy(word()).into_owned();
                let watches = &mut self.store.connections.get_mut(&domid).expect("it asks").watches;
                if watches.len() >= QUOTA_WATCHES {
                    return Err(Errno::E2BIG);
                }
                let known = |one: &(String, String, String)| one.1 == path && one.2 == token;
                if watches.iter().any(known) {
                    return Err(Errno::EEXIST);
                }
                watches.push((given, path, token));
                Vec::new()
            }
            XsMessageType::UNWATCH => {
                let token = String::from_utf8_lossy(word()).into_owned();
                let watches = &mut self.store.connections.get_mut(&domid).expect("it asks").watches;
                let at = watches.iter().position(|one| one.1 == path && one.2 == token);
                watches.remove(at.ok_or(Errno::ENOENT)?);
                Vec::new()
            }
            _ => return Err(Errno::ENOSYS),
        };
        self.fire(&changed, &gone);
        Ok(OK.to_vec())
    }

    /// Fires the watches on changed paths and on removed nodes.
    fn fire(&mut self, changed: &[String], gone: &[(String, Node)]) {
        let changed = changed.iter().map(|path| (path, None));
        let all: Vec<_> =
            changed.chain(gone.iter().map(|(path, node)| (path, Some(node)))).collect();
        let mut events = Vec::new();
        for (domid, connection) in &self.store.connections {
            for (given, watched, token) in &connection.watches {
                for (path, before) in &all {
                    if !matches(path, watched) || !self.store.hears(*domid, path, *before) {
                        continue;
                    }
                    // The event names the path as the watch did: relative or absolute.
                    let told = match given.starts_with('/') {
                        true => path.to_string(),
                        false => format!("{given}{}", &path[watched.len()..]),
                    };
                    events.push((*domid, format!("{told}\0{token}\0")));
                }
            }
        }
        for (domid, event) in events {
            self.put(domid, [XsMessageType::WATCH_EVENT.0, 0, 0], event.as_bytes());
        }
    }
}

/// Takes the first complete message from the received bytes.
fn split(input: &mut Vec<u8>) -> Option<([u32; 4], Vec<u8>)> {
    let header = input.first_chunk::<HEADER>()?;
    let words: [u32; 4] = core::array::from_fn(|word| {
        u32::from_le_bytes(core::array::from_fn(|byte| header[4 * word + byte]))
    });
    let len = words[3] as usize;
    assert!(len <= XENSTORE_PAYLOAD_MAX, "a guest sent {len} bytes; the daemon would hang up");
    if input.len() < HEADER + len {
        return None;
    }
    let payload = input[HEADER..HEADER + len].to_vec();
    input.drain(..HEADER + len);
    Some((words, payload))
}

fn absolute(domid: u16, given: &str) -> Result<String, Errno> {
    let max = if given.starts_with('/') { 3072 } else { 2048 };
    let known = |c: char| c.is_ascii_alphanumeric() || "-/_@".contains(c);
    let slashes = given != "/" && (given.ends_with('/') || given.contains("//"));
    if given.is_empty() || given.len() > max || slashes || !given.chars().all(known) {
        return Err(Errno::EINVAL);
    }
    let absolute = given.starts_with('/');
    Ok(if absolute { given.to_string() } else { format!("/local/domain/{domid}/{given}") })
}

fn format_perms(perms: &Perms) -> Vec<u8> {
    let letter = |entry: &(bool, bool, u16)| match (entry.0, entry.1) {
        (false, false) => 'n',
        (true, false) => 'r',
        (false, true) => 'w',
        (true, true) => 'b',
    };
    perms.iter().flat_map(|one| format!("{}{}\0", letter(one), one.2).into_bytes()).collect()
}

fn parse_perms(text: &[u8]) -> Result<Perms, Errno> {
    let words = text.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let (letter, number) = word.split_at(1);
            let domid = str::from_utf8(number).ok().and_then(|number| number.parse().ok());
            let (read, write) = match letter {
                b"n" => (false, false),
                b"r" => (true, false),
                b"w" => (false, true),
                b"b" => (true, true),
                _ => return Err(Errno::EINVAL),
            };
            Ok((read, write, domid.ok_or(Errno::EINVAL)?))
        })
        .collect()
}
