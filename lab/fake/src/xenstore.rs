// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xenstore's tree on FakeXen: nodes, permissions, transactions, quotas.
//!
//! Source: docs/misc/xenstore.txt, and how the C daemon of Xen 4.17 answers a guest. A transaction
//! works on a copy of the whole tree, and fails if anybody else changed a path that it saw.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::xenstore_daemon::Connection;
use drivers::Errno;

/// The most nodes that one domain may own, and the most bytes in a node.
const QUOTA_NODES: usize = 1000;
const QUOTA_BYTES: usize = 2048;
/// The most transactions that one domain may have open.
const QUOTA_TRANSACTIONS: usize = 10;

/// A node's permissions: (read, write, domid). The first entry names the owner, and says what
/// everybody not listed may do.
pub(super) type Perms = Vec<(bool, bool, u16)>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) value: Vec<u8>,
    pub(super) perms: Perms,
}

impl Node {
    fn allows(&self, who: u16, write: bool) -> bool {
        let owner = self.perms[0].2;
        let named = self.perms[1..].iter().find(|(_, _, domid)| *domid == who);
        let (r, w, _) = *named.unwrap_or(&self.perms[0]);
        who == 0 || who == owner || if write { w } else { r }
    }
}

/// All nodes, by absolute path.
pub(super) type Tree = BTreeMap<String, Node>;

#[derive(Debug)]
pub(super) struct OpenTransaction {
    owner: u16,
    tree: Tree,
    began: u64,
    /// Paths that were read or changed.
    seen: BTreeSet<String>,
    changed: Vec<String>,
}

/// The daemon's state.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) tree: Tree,
    transactions: BTreeMap<u32, OpenTransaction>,
    next_transaction: u32,
    /// Counts changes.
    clock: u64,
    changed_at: BTreeMap<String, u64>,
    pub(super) connections: BTreeMap<u16, Connection>,
    /// Whether the daemon runs at all.
    pub(super) running: bool,
    /// Whether to keep permissions for domains that don't exist, as oxenstored does. The C daemon
    /// drops them, and also those of a domain that ends (XSA-322).
    pub(super) keeps_permissions: bool,
}

impl Default for Store {
    fn default() -> Self {
        let root = Node { value: Vec::new(), perms: vec![(false, false, 0)] };
        let paths = ["/", "/local", "/local/domain"];
        Self {
            tree: paths.iter().map(|path| (path.to_string(), root.clone())).collect(),
            transactions: BTreeMap::new(),
            next_transaction: 1,
            clock: 0,
            changed_at: BTreeMap::new(),
            connections: BTreeMap::new(),
            running: true,
            keeps_permissions: false,
        }
    }
}

/// Returns the parent's path.
pub(super) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

fn is_below(path: &str, above: &str) -> bool {
    above == "/" || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

impl Store {
    /// Creates what libxl creates for a new domain.
    pub(super) fn make_domain(&mut self, domid: u16, memory: u32, maxmem: u32) {
        let home = format!("/local/domain/{domid}");
        let readable = vec![(false, false, 0), (true, false, domid)];
        let own = vec![(false, false, domid)];
        for (path, value, perms) in [
            (home.clone(), "", &readable),
            (format!("{home}/domid"), &*domid.to_string(), &readable),
            (format!("{home}/name"), "guest", &readable),
            (format!("{home}/control"), "", &readable),
            (format!("{home}/control/shutdown"), "", &own),
            (format!("{home}/control/feature-poweroff"), "", &own),
            (format!("{home}/control/feature-reboot"), "", &own),
            (format!("{home}/control/feature-suspend"), "", &own),
            (format!("{home}/control/sysrq"), "", &own),
            (format!("{home}/memory"), "", &readable),
            (format!("{home}/memory/target"), &*(4 * memory).to_string(), &readable),
            (format!("{home}/memory/static-max"), &*(4 * maxmem).to_string(), &readable),
            (format!("{home}/data"), "", &own),
        ] {
            let node = Node { value: value.into(), perms: perms.clone() };
            self.tree.insert(path.clone(), node);
            self.note(&path);
        }
    }

    /// Removes what libxl removes with a domain. Returns the paths, each with its old node, which
    /// says who could read it.
    pub(super) fn remove_domain(&mut self, domid: u16) -> Vec<(String, Node)> {
        self.connections.remove(&domid);
        self.transactions.retain(|_, transaction| transaction.owner != domid);
        if !self.keeps_permissions {
            self.tree
                .values_mut()
                .for_each(|node| keep_permissions(&mut node.perms, |of| of != domid));
        }
        let home = format!("/local/domain/{domid}");
        let gone: Vec<String> = below(&self.tree, &home);
        gone.into_iter()
            .filter_map(|path| {
                self.note(&path);
                self.tree.remove(&path).map(|node| (path, node))
            })
            .collect()
    }

    fn note(&mut self, path: &str) {
        self.clock += 1;
        self.changed_at.insert(path.to_string(), self.clock);
    }

    /// Returns the tree that a request works on.
    fn view(&mut self, who: u16, tx: u32, path: &str) -> Result<&mut Tree, Errno> {
        if tx == 0 {
            return Ok(&mut self.tree);
        }
        let transaction = self.transactions.get_mut(&tx).filter(|one| one.owner == who);
        let transaction = transaction.ok_or(Errno::ENOENT)?;
        transaction.seen.insert(path.to_string());
        Ok(&mut transaction.tree)
    }

    /// Records that a path changed. Returns the paths to announce now: none inside a transaction,
    /// whose changes wait for the commit.
    fn changed(&mut self, tx: u32, path: String) -> Vec<String> {
        match self.transactions.get_mut(&tx) {
            Some(transaction) => {
                transaction.changed.push(path);
                Vec::new()
            }
            None => {
                self.note(&path);
                vec![path]
            }
        }
    }

    /// Returns a node, if `who` may read or write it.
    pub(super) fn get(
        &mut self,
        who: u16,
        tx: u32,
        path: &str,
        write: bool,
    ) -> Result<&mut Node, Errno> {
        let tree = self.view(who, tx, path)?;
        match tree.get(path) {
            Some(node) if node.allows(who, write) => Ok(tree.get_mut(path).expect("just seen")),
            Some(_) => Err(Errno::EACCES),
            None => Err(absent(tree, who, path, write)),
        }
    }

    pub(super) fn directory(&mut self, who: u16, tx: u32, path: &str) -> Result<Vec<u8>, Errno> {
        self.get(who, tx, path, false)?;
        let tree = self.view(who, tx, path)?;
        let mut names = Vec::new();
        for child in tree.keys().filter(|child| *child != "/" && parent(child) == path) {
            names.extend_from_slice(child.rsplit('/').next().unwrap_or_default().as_bytes());
            names.push(0);
        }
        if names.len() > 4096 { Err(Errno::E2BIG) } else { Ok(names) }
    }

    /// Writes a node (`None`: only creates it), creating its missing ancestors.
    pub(super) fn write(
        &mut self,
        who: u16,
        tx: u32,
        path: &str,
        value: Option<&[u8]>,
    ) -> Result<Vec<String>, Errno> {
        let tree = self.view(who, tx, path)?;
        if let Some(node) = tree.get_mut(path) {
            if !node.allows(who, true) {
                return Err(Errno::EACCES);
            }
            let Some(value) = value else {
                return Ok(Vec::new());
            };
            if who != 0 && value.len() > QUOTA_BYTES {
                return Err(Errno::ENOSPC);
            }
            node.value = value.to_vec();
            return Ok(self.changed(tx, path.to_string()));
        }
        let mut missing = vec![path];
        let mut above = parent(path);
        while !tree.contains_key(above) {
            missing.push(above);
            above = parent(above);
        }
        if !tree[above].allows(who, true) {
            return Err(absent(tree, who, path, true));
        }
        let owned = tree.values().filter(|node| node.perms[0].2 == who).count();
        let value = value.unwrap_or_default();
        if who != 0 && (owned + missing.len() > QUOTA_NODES || value.len() > QUOTA_BYTES) {
            return Err(Errno::ENOSPC);
        }
        let mut perms = tree[above].perms.clone();
        // A guest owns what it creates.
        if who != 0 {
            perms[0].2 = who;
        }
        for new in missing.iter().rev() {
            let value = if *new == path { value.to_vec() } else { Vec::new() };
            tree.insert(new.to_string(), Node { value, perms: perms.clone() });
        }
        let missing: Vec<String> = missing.iter().rev().map(|path| path.to_string()).collect();
        Ok(missing.into_iter().flat_map(|path| self.changed(tx, path)).collect())
    }

    /// Removes a node and all below it. Returns each path with its old node, for watches.
    pub(super) fn remove(
        &mut self,
        who: u16,
        tx: u32,
        path: &str,
    ) -> Result<Vec<(String, Node)>, Errno> {
        let tree = self.view(who, tx, path)?;
        match tree.get(path) {
            None if tree.contains_key(parent(path)) => {
                let refusal = absent(tree, who, path, true);
                return if refusal == Errno::ENOENT { Ok(Vec::new()) } else { Err(refusal) };
            }
            None => return Err(absent(tree, who, path, true)),
            Some(node) if !node.allows(who, true) => return Err(Errno::EACCES),
            Some(_) => {}
        }
        let gone: Vec<(String, Node)> = below(tree, path)
            .into_iter()
            .filter_map(|path| tree.remove(&path).map(|node| (path, node)))
            .collect();
        for (path, _) in &gone {
            self.changed(tx, path.clone());
        }
        Ok(if tx == 0 { gone } else { Vec::new() })
    }

    pub(super) fn set_perms(
        &mut self,
        who: u16,
        tx: u32,
        path: &str,
        perms: Perms,
    ) -> Result<Vec<String>, Errno> {
        let node = self.get(who, tx, path, true)?;
        if perms.is_empty() {
            return Err(Errno::EINVAL);
        }
        // A guest may not give a node away.
        if who != 0 && (node.perms[0].2 != who || perms[0].2 != who) {
            return Err(Errno::EPERM);
        }
        node.perms = perms;
        Ok(self.changed(tx, path.to_string()))
    }

    pub(super) fn begin(&mut self, who: u16) -> Result<u32, Errno> {
        let open = self.transactions.values().filter(|one| one.owner == who).count();
        if open >= QUOTA_TRANSACTIONS {
            return Err(Errno::ENOSPC);
        }
        let id = self.next_transaction;
        self.next_transaction += 1;
        let (tree, began) = (self.tree.clone(), self.clock);
        let (seen, changed) = (BTreeSet::new(), Vec::new());
        self.transactions.insert(id, OpenTransaction { owner: who, tree, began, seen, changed });
        Ok(id)
    }

    pub(super) fn end(&mut self, who: u16, tx: u32, commit: bool) -> Result<Vec<String>, Errno> {
        self.view(who, tx, "/")?;
        let one = self.transactions.remove(&tx).ok_or(Errno::ENOENT)?;
        if !commit {
            return Ok(Vec::new());
        }
        let newer = |path: &String| self.changed_at.get(path).is_some_and(|at| *at > one.began);
        if one.seen.iter().filter(|path| *path != "/").any(newer) {
            return Err(Errno::EAGAIN);
        }
        for path in &one.changed {
            match one.tree.get(path) {
                Some(node) => self.tree.insert(path.clone(), node.clone()),
                None => self.tree.remove(path),
            };
            self.note(path);
        }
        Ok(one.changed)
    }

    /// Returns the number of transactions that a domain has open.
    pub(super) fn open_transactions(&self, who: u16) -> usize {
        self.transactions.values().filter(|one| one.owner == who).count()
    }

    /// Whether a domain's watches fire for a change of this path: it can read the node, or could
    /// before the change.
    pub(super) fn hears(&self, who: u16, path: &str, before: Option<&Node>) -> bool {
        let readable = |node: &Node| node.allows(who, false);
        before.is_some_and(readable) || self.tree.get(path).is_some_and(readable)
    }
}

/// Drops the permissions of domains that `keep` rejects, except the first, which is the owner's.
pub(super) fn keep_permissions(perms: &mut Perms, keep: impl Fn(u16) -> bool) {
    let mut owner = true;
    perms.retain(|(_, _, domid)| core::mem::take(&mut owner) || keep(*domid));
}

/// Returns the paths of a node and all below it.
fn below(tree: &Tree, path: &str) -> Vec<String> {
    tree.keys().filter(|key| *key == path || is_below(key, path)).cloned().collect()
}

/// Returns the error for a missing node: ENOENT only to domains with access to its nearest existing
/// ancestor, else EACCES.
fn absent(tree: &Tree, who: u16, path: &str, write: bool) -> Errno {
    let mut above = parent(path);
    while !tree.contains_key(above) {
        above = parent(above);
    }
    if tree[above].allows(who, write) { Errno::ENOENT } else { Errno::EACCES }
}

/// Whether a change of `path` fires a watch on `watched`.
pub(super) fn matches(path: &str, watched: &str) -> bool {
    path == watched || is_below(path, watched)
}
