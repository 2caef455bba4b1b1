//! What is in use, and what was done.

use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::sync::atomic::Ordering;

use drivers::memory::Platform;
use drivers::{Access, Call, Error, GrantRef, PeerState};

use crate::Machine;
use crate::shell::Shell;
use crate::shell::args::Args;
use crate::shell::objects::{Object, with_mapping};
use crate::shell::reply::{Done, Lines};
use crate::text::Text;

/// One line of `grants`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: &'static str,
    gref: GrantRef,
    peer: u16,
    access: Access,
    state: PeerState,
    /// In nanoseconds of Xen's time.
    since: u64,
    /// `None` for what no command of the shell holds.
    id: Option<u64>,
}

impl Entry {
    /// The line, at time `now`.
    fn write(&self, line: &mut Text, now: u64) -> fmt::Result {
        let (kind, gref, peer, access) = (self.kind, self.gref, self.peer, self.access);
        let (state, age) = (self.state, now.saturating_sub(self.since) / 1_000_000);
        write!(line, "{kind} ref={gref} peer={peer} access={access} state={state} age={age} id=")?;
        match self.id {
            Some(id) => write!(line, "{id}"),
            None => write!(line, "-"),
        }
    }
}

/// `grants [domid]`
pub(crate) async fn grants<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let peer = args.optional();
    let peer = peer.map(|word| args.domid_from(word)).transpose()?;
    args.end()?;
    let mut entries = entries(shell)?;
    entries.retain(|entry| peer.is_none_or(|peer| peer.get() == entry.peer));
    let now = shell.services.xen.now();
    let mut lines = Lines::new(&shell.services.console);
    for entry in &entries {
        lines.add(|line| entry.write(line, now)).await?;
    }
    lines.flush().await;
    Ok(write!(ok, " entries={}", entries.len())?)
}

/// All there is: shares by reference, then maps by id, then what is parked.
fn entries<X: Platform, M>(shell: &Shell<'_, X, M>) -> Result<Vec<Entry>, Error> {
    // By reference: the id that holds it, 0 for none; and then the entry. References are dense,
    // so that placing each costs less, in code as well, than sorting them.
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
                reserve(&mut maps, mapping.pages() as usize)?;
                maps.extend(mapping.grants().map(|grant| Entry {
                    kind: "map",
                    gref: grant.gref,
                    peer: map.peer,
                    access: map.mapping.access(),
                    state: map.mapping.state(),
                    since: map.since,
                    id: Some(id),
                }));
            }),
        }
    }
    let mut placed = Ok(());
    shell.services.gntalloc.for_each(|page| {
        let held_by = ids.get(page.gref.0 as usize).copied().filter(|id| *id != 0);
        let entry = Entry {
            kind: if page.parked { "parked" } else { "share" },
            gref: page.gref,
            peer: page.peer.get(),
            access: page.access,
            state: page.state,
            since: page.since,
            id: held_by.filter(|_| !page.parked),
        };
        let list = if page.parked { &mut parked } else { &mut shares };
        placed = placed.and_then(|()| place(list, page.gref).map(|at| *at = Some(entry)));
    });
    placed?;
    let mut entries: Vec<Entry> = Vec::new();
    reserve(&mut entries, shares.len() + maps.len() + parked.len())?;
    entries.extend(shares.into_iter().flatten());
    entries.extend(maps);
    entries.extend(parked.into_iter().flatten());
    Ok(entries)
}

/// The place of a reference in a list by reference.
fn place<T: Default + Clone>(list: &mut Vec<T>, gref: GrantRef) -> Result<&mut T, Error> {
    let index = gref.0 as usize;
    if index >= list.len() {
        reserve(list, index + 1 - list.len())?;
        list.resize(index + 1, T::default());
    }
    Ok(&mut list[index])
}

fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<(), Error> {
    list.try_reserve(more).map_err(|_| Error::NO_MEMORY)
}

/// `status`
pub(crate) fn status<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    args.end()?;
    let services = &shell.services;
    services.gntalloc.reap(u32::MAX);
    services.gntdev.retry_stuck();
    let (grants, parked) = (services.table.in_use(), services.gntalloc.parked());
    let (usage, ports) = (services.gntdev.usage(), services.events.open_ports());
    // What Xen would not unmap is mapped still.
    let (maps, reserved) = (usage.mapped + usage.stuck, usage.reserved);
    let (frames, heap) = (services.xen.frames(), shell.machine.heap());
    let (frames, frames_free) = (frames.total - frames.free, frames.free);
    let (stack, hypercalls) = (shell.machine.stack(), services.xen.counters().hypercalls());
    let uptime = (services.xen.now() - shell.started) / 1_000_000;
    write!(ok, " grants={grants} parked={parked} maps={maps} reserved={reserved} ports={ports}")?;
    write!(
        ok,
        " frames={frames} frames_free={frames_free} heap={} heap_free={}",
        heap.used, heap.free
    )?;
    write!(ok, " stack={stack} hypercalls={hypercalls} uptime={uptime}")?;
    Ok(())
}

/// `counters`
pub(crate) async fn counters<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    args.end()?;
    let counters = shell.services.xen.counters();
    let read = |count: &core::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    // All counts before the first line: printing them is counted as well.
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
    let mut lines = Lines::new(&shell.services.console);
    for (count, call) in calls.into_iter().zip(Call::ALL) {
        if count > 0 {
            let name = call.name();
            lines.add(|line| write!(line, "{name} {count}")).await?;
        }
    }
    lines.flush().await;
    Ok(())
}
