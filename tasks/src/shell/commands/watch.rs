//! What the other side does with a share, and what it's told when it ends.

use core::fmt::Write;
use core::pin::pin;

use drivers::memory::Platform;
use drivers::notify::{CLEAR_BYTE, SEND_EVENT, UnmapNotify};
use drivers::{PeerState, PortNumber};

use crate::Machine;
use crate::shell::Shell;
use crate::shell::args::Args;
use crate::shell::objects::{Object, with_mapping};
use crate::shell::reply::Done;
use crate::text::Text;

/// `state <id>`
pub(crate) async fn state<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let id = args.number("<id>")?;
    args.end()?;
    match shell.objects.get(id)? {
        Object::Map(map) => {
            let (pages, state) = (map.mapping.pages(), map.mapping.state());
            write!(ok, " id={id} pages={pages} states=")?;
            match shell.sees(map.peer).await {
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
pub(crate) async fn wait<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let id = args.number("<id>")?;
    let ms = args.optional_number("[ms]")?;
    args.end()?;
    let export = shell.objects.share(id)?;
    let began = shell.services.xen.now();
    let idle = async {
        // Xen tells nobody when a peer unmaps, so the table is looked at: soon at first, and
        // never so often that it costs anything.
        let mut pause = 1;
        while !export.is_idle() {
            shell.sleep(pause).await;
            pause = (pause * 2).min(10);
        }
    };
    shell.wait(ms, pin!(idle)).await?;
    let waited = (shell.services.xen.now() - began) / 1_000_000;
    Ok(write!(ok, " id={id} waited={waited}")?)
}

/// `notify <id> [byte=<offset>] [event=<port>]`
///
/// Each page of a share has a notification of its own: without a byte it's the first page's.
pub(crate) fn notify<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let id = args.number("<id>")?;
    let (mut byte, mut event) = (None, None);
    while let Some(word) = args.optional() {
        match word.split_once('=') {
            Some(("byte", offset)) if byte.is_none() => byte = Some(args.parse("byte", offset)?),
            Some(("event", port)) if event.is_none() => event = Some(args.parse("event", port)?),
            _ => {
                return Err(args.wrong(format_args!(
                    "{word:?} is neither byte=<offset> nor event=<port>, or comes twice"
                )));
            }
        }
    }
    let action = byte.map_or(0, |_| CLEAR_BYTE) | event.map_or(0, |_| SEND_EVENT);
    let port = PortNumber(event.unwrap_or_default());
    let (offset, notify) = (byte.unwrap_or(0), UnmapNotify { action, port });
    match shell.objects.get(id)? {
        Object::Share(export) => export.set_notify(offset, notify)?,
        Object::Map(map) => {
            with_mapping!(&map.mapping, mapping => mapping.set_notify(offset, notify)?);
        }
    }
    write!(ok, " id={id} byte={} event={}", Or(byte), Or(event))?;
    Ok(())
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
