// SPDX-License-Identifier: MIT OR Apache-2.0
//! A share's state at the peer, and notifications when a share or map ends.

use core::fmt::Write;
use core::pin::pin;

use drivers::memory::Platform;
use drivers::notify::{CLEAR_BYTE, NotifyRequest, SEND_EVENT};
use drivers::{PeerState, PortNumber};

use crate::machine::Machine;
use crate::shell::args::Args;
use crate::shell::objects::{Object, with_mapping};
use crate::shell::reply::Done;
use crate::shell::state::Shell;
use crate::text::{Quoted, Text};

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `state <id>`
    pub(crate) async fn state(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let id = args.number("<id>")?;
        args.end()?;
        match self.objects.get(id)? {
            Object::Map(map) => {
                let (pages, state) = (map.mapping.pages(), map.mapping.state());
                write!(ok, " id={id} pages={pages} states=")?;
                match self.sees(map.peer).await {
                    Some(false) if map.seen => write!(ok, "gone*{pages}")?,
                    _ => write!(ok, "{state}*{pages}")?,
                }
            }
            Object::Share(export) => {
                write!(ok, " id={id} pages={} states=", export.pages())?;
                let mut run: Option<(PeerState, u32)> = None;
                for state in export.states() {
                    match &mut run {
                        Some((of, pages)) if *of == state => *pages += 1,
                        _ => {
                            if let Some((of, pages)) = run.replace((state, 1)) {
                                write!(ok, "{of}*{pages},")?;
                            }
                        }
                    }
                }
                if let Some((of, pages)) = run {
                    write!(ok, "{of}*{pages}")?;
                }
            }
        }
        Ok(())
    }

    /// `wait <id> [ms]`
    pub(crate) async fn wait(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let id = args.number("<id>")?;
        let ms = args.optional_number("[ms]")?;
        args.end()?;
        let export = self.objects.share(id)?;
        let began = self.services.system.now();
        let idle = async {
            // Xen doesn't announce that a peer unmaps, so the table is polled: after 1 ms at first,
            // later every 10 ms.
            let mut pause = 1;
            while !export.is_idle() {
                self.pause(pause).await;
                pause = (pause * 2).min(10);
            }
        };
        self.wait_for(ms, pin!(idle)).await?;
        let waited = (self.services.system.now() - began) / 1_000_000;
        Ok(write!(ok, " id={id} waited={waited}")?)
    }

    /// `notify <id> [byte=<offset>] [event=<port>]`
    ///
    /// Any open port will do, as for Linux's SET_UNMAP_NOTIFY: the shell's own, or xenstore's.
    pub(crate) fn notify(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let id = args.number("<id>")?;
        let (mut byte, mut event) = (None, None);
        while let Some(word) = args.optional() {
            match word.split_once('=') {
                Some(("byte", offset)) if byte.is_none() => {
                    byte = Some(args.parse("byte", offset)?)
                }
                Some(("event", port)) if event.is_none() => {
                    event = Some(args.parse("event", port)?)
                }
                _ => {
                    return Err(args.wrong(format_args!(
                        "{} is neither byte=<offset> nor event=<port>, or comes twice",
                        Quoted(word)
                    )));
                }
            }
        }
        let action = byte.map_or(0, |_| CLEAR_BYTE) | event.map_or(0, |_| SEND_EVENT);
        let request = NotifyRequest { action, port: PortNumber(event.unwrap_or_default()) };
        let notify = request.decode(byte.unwrap_or_default())?;
        match self.objects.get_mut(id)? {
            Object::Share(export) => export.set_notify(notify)?,
            Object::Map(map) => {
                with_mapping!(&mut map.mapping, mapping => mapping.set_notify(notify)?);
            }
        }
        write!(ok, " id={id} byte={} event={}", Or(byte), Or(event))?;
        Ok(())
    }
}

/// A value, or `-`.
struct Or<T>(Option<T>);

impl<T: core::fmt::Display> core::fmt::Display for Or<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}
