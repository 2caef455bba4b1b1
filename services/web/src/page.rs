// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page: `page.html` with the guest's current counts, and a bar and a row for each run of grants
//! and a row for each channel.

use alloc::vec::Vec;
use core::fmt::{Error, Result as Written, Write};

use grantkit::{drivers::GrantInfo, prelude::*};

struct Text(Vec<u8>);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> Written {
        self.0.try_reserve(text.len()).map_err(|_| Error)?;
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

type Drawn = Result<Vec<u8>, Error>;

/// Draws the page; an error if there is no memory for it.
pub fn draw<X: Platform>(of: &Services<X>, to: DomId, via: &[crate::Channel], shown: u64) -> Drawn {
    let (mut bars, mut rows, mut grants) = (Text(Vec::new()), Text(Vec::new()), Vec::new());
    grants.try_reserve(of.gntalloc.in_use() as usize).map_err(|_| Error)?;
    let (room, mut at) = (grants.capacity(), 0);
    of.gntalloc.for_each(|grant| grants.extend((grants.len() < room).then_some(grant)));
    let key = |grant: &GrantInfo| (grant.peer.0, grant.state);
    for run in grants.chunk_by(|a, b| key(a) == key(b) && a.gref.0 + 1 == b.gref.0) {
        let (len, gref, (to, state)) = (run.len(), run[0].gref.0, key(&run[0]));
        writeln!(bars, "<rect class=\"{state}\" x=\"{at}\" y=\"60\" width=\"{len}\"/>")?;
        writeln!(rows, "<tr><td>gref {gref}<td>{len} pages granted to domain {to}, {state}")?;
        at += len;
    }
    for (n, channel) in (1..).zip(via) {
        let is = ["waiting for a client", "open"][usize::from(channel.open.get())];
        let (clients, sent) = (channel.clients.get(), channel.sent.get());
        write!(rows, "<tr><td>channel {n}<td>to domain {to}, {is}, ")?;
        writeln!(rows, "{clients} so far, {sent} bytes sent")?;
    }
    let (frames, mut page) = (of.system.frames(), Text(Vec::new()));
    write!(
        page,
        include_str!("page.html"),
        domid = of.domid.get(),
        bars = core::str::from_utf8(&bars.0).unwrap_or_default(),
        rows = core::str::from_utf8(&rows.0).unwrap_or_default(),
        used = 360 * (frames.domain - frames.free) / frames.domain.max(1),
        frames = format_args!("{} of {}", frames.free, frames.domain),
        grants = at,
        mapped = of.gntdev.usage().mapped,
        ports = of.events.open_ports(),
        shown = shown,
        hypercalls = of.system.counters().hypercalls(),
    )?;
    Ok(page.0)
}
