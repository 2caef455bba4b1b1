// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is in use, and what has been done.

use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::sync::atomic::Ordering;

use drivers::memory::Platform;
use drivers::{Access, Call, ClaimedDomId, Error, GrantRef, PeerState, list};

use crate::machine::Machine;
use crate::shell::args::Args;
use crate::shell::objects::{Object, with_mapping};
use crate::shell::reply::{Done, Lines};
use crate::shell::state::Shell;
use crate::text::Text;

/// One line of `grants`.
#[derive(Clone, Copy, Debug)]
struct Listed {
    kind: &'static str,
    gref: GrantRef,
    peer: ClaimedDomId,
    access: Access,
    state: PeerState,
    /// In nanoseconds of Xen's system time.
    since: u64,
    /// `None` if no command of the shell holds it.
    id: Option<u64>,
}

impl Listed {
    /// The line, at time `now`.
    fn write(&self, to: &mut dyn Write, now: u64) -> fmt::Result {
        let (kind, gref, peer, access) = (self.kind, self.gref, self.peer, self.access);
        let (state, age) = (self.state, now.saturating_sub(self.since) / 1_000_000);
        write!(to, "{kind} ref={gref} peer={peer} access={access} state={state} age={age} id=")?;
        match self.id {
            Some(id) => writeln!(to, "{id}"),
            None => to.write_str("-\n"),
        }
    }
}

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `grants [domid]`
    pub(crate) async fn grants(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let peer = args.optional();
        let peer = peer.map(|word| args.domid_from(word)).transpose()?;
        args.end()?;
        let mut entries = entries(self)?;
        entries.retain(|entry| peer.is_none_or(|peer| ClaimedDomId::from(peer) == entry.peer));
        let now = self.services.system.now();
        let mut lines = Lines::new(&self.services.console);
        for entry in &entries {
            entry.write(&mut lines, now)?;
            lines.full().await;
        }
        lines.flush().await;
        Ok(write!(ok, " entries={}", entries.len())?)
    }

    /// `status`
    pub(crate) fn status(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        args.end()?;
        let services = &self.services;
        services.gntalloc.reap(u32::MAX);
        services.gntdev.retry_stuck();
        let (grants, parked) = (services.gntalloc.in_use(), services.gntalloc.parked());
        let (usage, ports) = (services.gntdev.usage(), services.events.open_ports());
        // What Xen refused to unmap is still mapped.
        let (maps, reserved) = (usage.mapped + usage.stuck, usage.reserved);
        let (frames, heap) = (services.system.frames(), self.machine.heap());
        let (frames, frames_free) = (frames.total - frames.free, frames.free);
        let (stack, hypercalls) = (self.machine.stack(), services.system.counters().hypercalls());
        let uptime = (services.system.now() - self.started) / 1_000_000;
        write!(
            ok,
            " grants={grants} parked={parked} maps={maps} reserved={reserved} ports={ports}"
        )?;
        write!(
            ok,
            " frames={frames} frames_free={frames_free} heap={} heap_free={}",
            heap.used, heap.free
        )?;
        let mode = self.machine.mode();
        write!(ok, " stack={stack} hypercalls={hypercalls} uptime={uptime} mode={mode}")?;
        Ok(())
    }

    /// `counters`
    pub(crate) async fn counters(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        args.end()?;
        let counters = self.services.system.counters();
        let read = |count: &core::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        // All are read before the first line is printed, since printing counts as well.
        let mut calls = [0; Call::ALL.len()];
        for (count, call) in calls.iter_mut().zip(Call::ALL) {
            *count = counters.calls(*call);
        }
        let (hypercalls, events_in) = (calls.iter().sum::<u64>(), read(&counters.events_in));
        let events_out = counters.calls(Call::EvtchnSend);
        let (zeroed, copied) = (read(&counters.zeroed), read(&counters.copied));
        let allocations = read(&counters.allocations);
        write!(ok, " hypercalls={hypercalls} events_in={events_in} events_out={events_out}")?;
        write!(ok, " zeroed={zeroed} copied={copied} allocations={allocations}")?;
        let mut lines = Lines::new(&self.services.console);
        for (count, call) in calls.into_iter().zip(Call::ALL) {
            if count > 0 {
                let name = call.name();
                writeln!(lines, "{name} {count}")?;
                lines.full().await;
            }
        }
        lines.flush().await;
        Ok(())
    }
}

/// Everything: shares by reference, then maps by id, then parked pages.
fn entries<X: Platform, M>(shell: &Shell<'_, X, M>) -> Result<Vec<Listed>, Error> {
    // Two lists indexed by reference: the id that holds it, 0 for none, and its line. References
    // are dense, so this costs less than sorting, in code size as well.
    let (mut ids, mut shares) = (Vec::new(), Vec::new());
    let (mut maps, mut parked) = (Vec::new(), Vec::new());
    for (id, object) in shell.objects.iter() {
        match object {
            Object::Share(export) => {
                for gref in export.grefs() {
                    *place(&mut ids, gref)? = id;
                }
            }
            Object::Map(map) => with_mapping!(&map.mapping, mapping => {
                let listed = mapping.grants().map(|grant| Listed {
                    kind: "map",
                    gref: grant.gref,
                    peer: map.peer,
                    access: map.mapping.access(),
                    state: map.mapping.state(),
                    since: map.since,
                    id: Some(id),
                });
                list::extend(&mut maps, listed)?;
            }),
        }
    }
    let mut placed = Ok(());
    shell.services.gntalloc.for_each(|page| {
        let held_by = ids.get(page.gref.0 as usize).copied().filter(|id| *id != 0);
        let entry = Listed {
            kind: if page.parked { "parked" } else { "share" },
            gref: page.gref,
            peer: page.peer,
            access: page.access,
            state: page.state,
            since: page.since,
            id: held_by.filter(|_| !page.parked),
        };
        let list = if page.parked { &mut parked } else { &mut shares };
        placed = placed.and_then(|()| place(list, page.gref).map(|at| *at = Some(entry)));
    });
    placed?;
    let mut entries = Vec::new();
    let most = shares.len() + maps.len() + parked.len();
    entries.try_reserve_exact(most).map_err(|_| Error::NO_MEMORY)?;
    let shares = shares.into_iter().flatten();
    list::extend(&mut entries, shares.chain(maps).chain(parked.into_iter().flatten()))?;
    Ok(entries)
}

/// A reference's place in a list indexed by reference.
fn place<T: Default>(list: &mut Vec<T>, gref: GrantRef) -> Result<&mut T, Error> {
    let index = gref.0 as usize;
    let more = (index + 1).saturating_sub(list.len());
    list::extend(list, (0..more).map(|_| T::default()))?;
    list.get_mut(index).ok_or(Error::NO_MEMORY)
}
