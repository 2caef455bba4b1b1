// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shares and maps that the shell holds, by id.
//!
//! Ids count up from 1 across both kinds, and are never reused.

use alloc::vec::Vec;

use drivers::gntalloc::Export;
use drivers::gntdev::{Mapping, ReadOnly, ReadWrite};
use drivers::memory::Platform;
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, ClaimedDomId, Errno, Error, Pages, PeerState, list};

use super::reply::{Done, Failure};

/// A share or a map.
#[derive(Debug)]
pub(crate) enum Object<X: Platform> {
    /// Our pages, granted.
    Share(Export<X>),
    /// Pages of another domain, mapped.
    Map(Map<X>),
}

/// Pages of another domain, mapped.
#[derive(Debug)]
pub(crate) struct Map<X: Platform> {
    pub(crate) mapping: AnyMapping<X>,
    /// The granter's number.
    pub(crate) peer: ClaimedDomId,
    /// When it was mapped, in nanoseconds of Xen's time.
    pub(crate) since: u64,
    /// Whether its granter had a state node in xenstore when it was mapped.
    pub(crate) seen: bool,
}

/// A mapping of either kind.
#[derive(Debug)]
pub(crate) enum AnyMapping<X: Platform> {
    Rw(Mapping<X, ReadWrite>),
    Ro(Mapping<X, ReadOnly>),
}

/// Evaluates an expression for a mapping of either kind.
macro_rules! with_mapping {
    ($mapping:expr, $name:ident => $body:expr) => {
        match $mapping {
            $crate::shell::objects::AnyMapping::Rw($name) => $body,
            $crate::shell::objects::AnyMapping::Ro($name) => $body,
        }
    };
}
pub(crate) use with_mapping;

impl<X: Platform> AnyMapping<X> {
    pub(crate) fn access(&self) -> Access {
        match self {
            AnyMapping::Rw(_) => Access::ReadWrite,
            AnyMapping::Ro(_) => Access::ReadOnly,
        }
    }

    pub(crate) fn pages(&self) -> Pages {
        with_mapping!(self, mapping => mapping.pages())
    }

    /// Its state, for a listing.
    pub(crate) fn state(&self) -> PeerState {
        match self {
            AnyMapping::Rw(_) => PeerState::MappedRw,
            AnyMapping::Ro(_) => PeerState::MappedRo,
        }
    }
}

impl<X: Platform> Object<X> {
    /// Its bytes, for reading.
    pub(crate) fn shared(&self) -> &dyn Shared {
        match self {
            Object::Share(export) => export,
            Object::Map(map) => with_mapping!(&map.mapping, mapping => mapping),
        }
    }

    /// Its bytes, for writing; EACCES if they are read-only.
    pub(crate) fn shared_mut(&self) -> Result<&dyn SharedMut, Failure> {
        match self {
            Object::Share(export) => Ok(export),
            Object::Map(map) => match &map.mapping {
                AnyMapping::Rw(mapping) => Ok(mapping),
                AnyMapping::Ro(_) => {
                    Err(Failure::new(Errno::EACCES, format_args!("the map is read-only")))
                }
            },
        }
    }
}

/// All shares and maps.
#[derive(Debug)]
pub(crate) struct Objects<X: Platform> {
    /// By id, ascending.
    list: Vec<(u64, Object<X>)>,
    next: u64,
}

impl<X: Platform> Objects<X> {
    pub(crate) const fn new() -> Self {
        Self { list: Vec::new(), next: 1 }
    }

    /// Makes room for one more, and returns its id.
    pub(crate) fn reserve(&mut self) -> Result<u64, Failure> {
        self.list.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
        Ok(self.next)
    }

    /// Adds an object under the id from [`Objects::reserve`].
    pub(crate) fn add(&mut self, object: Object<X>) -> Done {
        list::push(&mut self.list, (self.next, object))?;
        self.next += 1;
        Ok(())
    }

    /// The object with this id, or ENOENT.
    pub(crate) fn get(&self, id: u64) -> Result<&Object<X>, Failure> {
        let found = self.find(id).and_then(|at| self.list.get(at));
        found.map(|(_, object)| object).ok_or_else(|| unknown(id))
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, id: u64) -> Result<&mut Object<X>, Failure> {
        let found = self.find(id).and_then(|at| self.list.get_mut(at));
        found.map(|(_, object)| object).ok_or_else(|| unknown(id))
    }

    /// The share with this id, or ENOENT.
    pub(crate) fn share(&self, id: u64) -> Result<&Export<X>, Failure> {
        match self.get(id)? {
            Object::Share(export) => Ok(export),
            Object::Map(_) => Err(other_kind(id, "a map, not a share")),
        }
    }

    /// Removes a share.
    pub(crate) fn remove_share(&mut self, id: u64) -> Result<Export<X>, Failure> {
        self.share(id)?;
        match self.remove(id) {
            Some(Object::Share(export)) => Ok(export),
            _ => Err(unknown(id)),
        }
    }

    /// Removes a map.
    pub(crate) fn remove_map(&mut self, id: u64) -> Result<Map<X>, Failure> {
        if let Object::Share(_) = self.get(id)? {
            return Err(other_kind(id, "a share, not a map"));
        }
        match self.remove(id) {
            Some(Object::Map(map)) => Ok(map),
            _ => Err(unknown(id)),
        }
    }

    /// Every object with its id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Object<X>)> {
        self.list.iter().map(|(id, object)| (*id, object))
    }

    /// Drops all, newest first, so that a map of our own share goes before the share.
    pub(crate) fn clear(&mut self) {
        while self.list.pop().is_some() {}
    }

    fn remove(&mut self, id: u64) -> Option<Object<X>> {
        self.find(id).map(|at| self.list.remove(at).1)
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.list.binary_search_by_key(&id, |(id, _)| *id).ok()
    }
}

fn unknown(id: u64) -> Failure {
    Failure::new(Errno::ENOENT, format_args!("there is no share or map {id}; grants lists them"))
}

fn other_kind(id: u64, what: &str) -> Failure {
    Failure::new(Errno::ENOENT, format_args!("{id} is {what}"))
}
