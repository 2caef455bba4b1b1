// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page: `page.html` with the guest's current counts, and a square for each page it grants.

use alloc::vec::Vec;
use core::fmt::{Error, Result as Written, Write};

use grantkit::prelude::*;

/// Squares in a row.
const ROW: usize = 24;

struct Text(Vec<u8>);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> Written {
        self.0.try_reserve(text.len()).map_err(|_| Error)?;
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Draws the page; an error if there is no memory for it.
pub fn draw<X: Platform>(guest: &Services<X>, open: usize, shown: u64) -> Result<Vec<u8>, Error> {
    let (mut squares, mut at, mut written) = (Text(Vec::new()), 0, Ok(()));
    guest.gntalloc.for_each(|grant| {
        let (x, y, state) = (15 * (at % ROW) + 1, 15 * (at / ROW) + 61, grant.state);
        let words = format_args!("grant {} to domain {}: {state}", grant.gref.0, grant.peer.0);
        let square = format_args!("<rect class=\"{state}\" x=\"{x}\" y=\"{y}\">");
        written = written.and_then(|()| writeln!(squares, "{square}<title>{words}</title></rect>"));
        at += 1;
    });
    written?;
    let frames = guest.system.frames();
    let mut page = Text(Vec::new());
    write!(
        page,
        include_str!("page.html"),
        domid = guest.domid.get(),
        squares = core::str::from_utf8(&squares.0).unwrap_or_default(),
        height = 15 * at.div_ceil(ROW) + 66,
        open = open,
        shown = shown,
        used = 360 * (frames.domain - frames.free) / frames.domain.max(1),
        grants = guest.gntalloc.in_use(),
        mapped = guest.gntdev.usage().mapped,
        ports = guest.events.open_ports(),
        hypercalls = guest.system.counters().hypercalls(),
        free = frames.free,
        domain = frames.domain,
    )?;
    Ok(page.0)
}
