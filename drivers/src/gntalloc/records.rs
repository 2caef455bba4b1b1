//! What gntalloc knows of each page, and the limit that counts them.
//!
//! A record is *listed* while its handle's index names it, *used* while anything local holds it,
//! and *parked* when neither is so but the peer still maps the page. Parked pages stay charged to
//! the limit: otherwise a peer could make us pin any amount (seed bug GA24). Charging and
//! uncharging happen here and nowhere else.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use embassy_sync::waitqueue::WakerRegistration;
use hashbrown::HashMap;

use crate::events::Port;
use crate::memory::{Page, Platform};
use crate::{Access, DomId, Error, GrantRef};

/// What to do when the last local user of a page goes.
#[derive(Debug)]
pub(crate) struct Notify<X: Platform> {
    /// Clear this byte of the page, 0..4095.
    pub(crate) byte: Option<usize>,
    /// Send an event through this port, which is held open for it.
    pub(crate) event: Option<Port<X>>,
}

/// One granted page.
#[derive(Debug)]
pub(crate) struct Record<X: Platform> {
    pub(crate) page: Page,
    pub(crate) gref: GrantRef,
    pub(crate) peer: DomId,
    pub(crate) access: Access,
    /// 1 while listed, and 1 more for each local mapping.
    pub(crate) users: u32,
    pub(crate) listed: bool,
    pub(crate) notify: Option<Notify<X>>,
    /// When it was granted: nanoseconds of Xen's system time.
    pub(crate) since: u64,
}

/// A page of a handle: the handle's number, and the page's index, in pages.
pub(crate) type Key = (u32, u64);

/// An opened device.
#[derive(Clone, Copy, Debug, Default)]
struct Opened {
    /// Values that keep it open; without any, its number is free.
    holders: u64,
    /// The next index, in pages.
    next_index: u64,
}

/// Every page that is charged to the limit, and every handle.
#[derive(Debug)]
pub(crate) struct Records<X: Platform> {
    /// By number. Kept here, since an `Arc` for each can't be had without a panic for want of
    /// memory.
    handles: Vec<Opened>,
    /// Pages with a local user. A handle never uses an index twice, so a key is unique.
    live: HashMap<Key, Record<X>>,
    /// Pages that only the peer maps, oldest first. Has room for every live page, so that
    /// parking never allocates.
    parked: VecDeque<Record<X>>,
    /// Who reaps, to be told when a page is parked.
    pub(crate) on_park: WakerRegistration,
}

impl<X: Platform> Records<X> {
    pub(crate) fn new() -> Self {
        let on_park = WakerRegistration::new();
        Self { handles: Vec::new(), live: HashMap::new(), parked: VecDeque::new(), on_park }
    }

    /// A new handle's number, with one holder.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn open(&mut self) -> Result<u32, Error> {
        let free = self.handles.iter().position(|handle| handle.holders == 0);
        let number = free.unwrap_or(self.handles.len());
        if free.is_none() {
            self.handles.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
            self.handles.push(Opened::default());
        }
        self.handles[number] = Opened { holders: 1, next_index: 0 };
        Ok(number as u32)
    }

    /// One holder more.
    pub(crate) fn hold(&mut self, handle: u32) {
        self.handles[handle as usize].holders += 1;
    }

    /// One holder less; whether it was the last, and the handle is to be closed.
    pub(crate) fn release(&mut self, handle: u32) -> bool {
        let holders = &mut self.handles[handle as usize].holders;
        *holders -= 1;
        *holders == 0
    }

    /// The handle's next index, in pages.
    pub(crate) fn next_index(&mut self, handle: u32) -> &mut u64 {
        &mut self.handles[handle as usize].next_index
    }

    /// Pages charged: live and parked.
    pub(crate) fn charged(&self) -> u32 {
        (self.live.len() + self.parked.len()) as u32
    }

    /// Parked pages.
    pub(crate) fn parked(&self) -> u32 {
        self.parked.len() as u32
    }

    /// Makes room for `n` more pages, so that inserting and parking them can't fail.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn reserve(&mut self, n: usize) -> Result<(), Error> {
        if self.live.is_empty() {
            // What was removed leaves marks, for which a table of free places would be made larger.
            self.live.clear();
        }
        self.live.try_reserve(n).map_err(|_| Error::NO_MEMORY)?;
        self.parked.try_reserve(self.live.len() + n).map_err(|_| Error::NO_MEMORY)
    }

    /// Adds a page; room was [`Records::reserve`]d.
    pub(crate) fn insert(&mut self, key: Key, record: Record<X>) {
        let twice = self.live.insert(key, record);
        debug_assert!(twice.is_none(), "an index is never used twice");
    }

    /// The record of a page with a local user, listed or not.
    pub(crate) fn get(&self, key: Key) -> Option<&Record<X>> {
        self.live.get(&key)
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Record<X>> {
        self.live.get_mut(&key)
    }

    /// Whether every page of a run is listed.
    pub(crate) fn all_listed(&self, handle: u32, run: core::ops::Range<u64>) -> bool {
        run.clone().all(|index| self.get((handle, index)).is_some_and(|record| record.listed))
    }

    /// Takes a user from a page. The record, once it has none left.
    pub(crate) fn drop_user(&mut self, key: Key) -> Option<Record<X>> {
        let record = self.live.get_mut(&key)?;
        record.users -= 1;
        if record.users > 0 {
            return None;
        }
        let record = self.live.remove(&key);
        self.trim();
        record
    }

    /// Gives an empty table back to the heap: when nothing is shared, as much is in use as there was
    /// before the first share. (A removed page also leaves a mark in the table, for which it may
    /// become twice as large although it has room.)
    pub(crate) fn trim(&mut self) {
        if self.live.is_empty() {
            self.live = HashMap::new();
        }
    }

    /// Keeps a page until the peer lets go.
    pub(crate) fn park(&mut self, record: Record<X>) {
        self.parked.push_back(record);
        self.on_park.wake();
    }

    /// The page that was parked longest.
    pub(crate) fn unpark(&mut self) -> Option<Record<X>> {
        self.parked.pop_front()
    }

    /// Unlists every page of a handle, and queues them before the parked ones; returns how many.
    /// They have no other user: a mapping of theirs would keep the handle open. Looks at every page
    /// there is, once, when the handle closes.
    pub(crate) fn close(&mut self, handle: u32) -> usize {
        let unlisted = self.live.extract_if(|key, record| {
            let ours = key.0 == handle && record.listed;
            if ours {
                (record.listed, record.users) = (false, 0);
            }
            ours
        });
        let before = self.parked.len();
        unlisted.for_each(|(_, record)| self.parked.push_front(record));
        self.trim();
        self.parked.len() - before
    }

    /// Every page: its record, and whether it is parked.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Record<X>, bool)> {
        let live = self.live.values().map(|record| (record, false));
        live.chain(self.parked.iter().map(|record| (record, true)))
    }
}
