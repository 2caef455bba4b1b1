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
use crate::shell::reply::{Done, print_lines};
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
        let mut rest = entries.iter();
        let console = &self.services.console;
        print_lines(console, &mut |to| Some(rest.next()?.write(to, now))).await?;
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
        let mut made = calls.into_iter().zip(Call::ALL).filter(|(count, _)| *count > 0);
        let mut next = |to: &mut Text| {
            let (count, call) = made.next()?;
            Some(writeln!(to, "{} {count}", call.name()))
        };
        Ok(print_lines(&self.services.console, &mut next).await?)
    }
}

/// Everything: shares by reference, then maps by id, then parked pages by reference.
fn entries<X: Platform, M>(shell: &Shell<'_, X, M>) -> Result<Vec<Listed>, Error> {
    // Indexed by reference: the id that holds it, 0 for none.
    let mut ids = Vec::new();
    for (id, object) in shell.objects.iter() {
        if let Object::Share(export) = object {
            for gref in export.grefs() {
                *place(&mut ids, gref)? = id;
            }
        }
    }
    let mut entries = Vec::new();
    for parked in [false, true] {
        // Also indexed by reference. References are dense, so this costs less than sorting, in code
        // size as well.
        let (mut pages, mut placed) = (Vec::new(), Ok(()));
        shell.services.gntalloc.for_each(|page| {
            let held_by = ids.get(page.gref.0 as usize).copied().filter(|id| *id != 0);
            let entry = Listed {
                kind: if parked { "parked" } else { "share" },
                gref: page.gref,
                peer: page.peer,
                access: page.access,
                state: page.state,
                since: page.since,
                id: held_by.filter(|_| !parked),
            };
            if page.parked == parked {
                placed =
                    placed.and_then(|()| place(&mut pages, page.gref).map(|at| *at = Some(entry)));
            }
        });
        placed?;
        list::extend(&mut entries, pages.into_iter().flatten())?;
        if !parked {
            add_maps(&mut entries, shell)?;
        }
    }
    Ok(entries)
}

/// Adds what the shell has mapped, by id.
fn add_maps<X: Platform, M>(
    entries: &mut Vec<Listed>,
    shell: &Shell<'_, X, M>,
) -> Result<(), Error> {
    for (id, object) in shell.objects.iter() {
        if let Object::Map(map) = object {
            with_mapping!(&map.mapping, mapping => {
                let listed = mapping.grants().map(|grant| Listed {
                    kind: "map",
                    gref: grant.gref,
                    peer: map.peer,
                    access: map.mapping.access(),
                    state: map.mapping.state(),
                    since: map.since,
                    id: Some(id),
                });
                list::extend(entries, listed)?;
            });
        }
    }
    Ok(())
}

/// A reference's place in a list indexed by reference.
fn place<T: Default>(list: &mut Vec<T>, gref: GrantRef) -> Result<&mut T, Error> {
    let index = gref.0 as usize;
    let more = (index + 1).saturating_sub(list.len());
    list::extend(list, (0..more).map(|_| T::default()))?;
    list.get_mut(index).ok_or(Error::NO_MEMORY)
}
