// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests from the toolstack: whatever xl asks for is acknowledged, and obeyed or declined.
//!
//! xl writes a word into a node; the guest acknowledges it by emptying the node (`node`), and only
//! then acts. `control/shutdown` takes words that end the guest; `suspend`, and any other, is
//! declined with a line on the console. So is a key in `control/sysrq`, which only Linux supports.
//! `control/feature-*` says what the guest supports. `memory/target` is the size that the guest
//! should have (`size`).
//!
//! `data/grantkit/state` holds `ready` while the guest listens to xl. All domains may read it, so a
//! peer can tell when this guest is gone.

mod node;
mod size;

use core::fmt::Display;
use core::future::pending;

use drivers::memory::Platform;
use drivers::peers::{look, publish};
use drivers::xenstore::{Publication, Reader, XenStore};
use drivers::{ClaimedDomId, DomId, Error, Services};
use embassy_futures::select::select_array;
use log::Level;

use self::node::Node;
use crate::machine::{CrashKind, Ending};
use crate::text::{self, Plain};

const SHUTDOWN: &str = "control/shutdown";
const SYSRQ: &str = "control/sysrq";
const TARGET: &str = "memory/target";
const STATE: &str = "data/grantkit/state";

/// The features announced to xl.
const FEATURES: [(&str, &[u8]); 4] = [
    ("control/feature-poweroff", b"1"),
    ("control/feature-reboot", b"1"),
    ("control/feature-halt", b"1"),
    ("control/feature-suspend", b"0"),
];

/// Completes when the toolstack wants the guest to end, and says how.
pub(crate) async fn mind<X: Platform>(services: &Services<X>) -> Ending {
    if let Some(store) = &services.xenstore {
        let listen = |path| listen(services, store, path);
        return select_array([SHUTDOWN, SYSRQ, TARGET].map(listen)).await.0;
    }
    pending().await
}

/// Whether a domain has a state node, as Grantkit guests do. `None` if xenstore doesn't answer.
pub(crate) async fn is_there<X: Platform>(
    services: &Services<X>,
    domid: ClaimedDomId,
) -> Option<bool> {
    Some(look(services, DomId::new(domid.0)?, STATE).await.ok()?.is_some())
}

/// Completes when a word in a node ends the guest. Only a broken connection to xenstore stops it
/// from seeing the next word, since a missed word would be lost.
async fn listen<X: Platform>(
    services: &Services<X>,
    store: &XenStore<X>,
    path: &'static str,
) -> Ending {
    let listening = async {
        let mut node = Node::watch(services, store, path).await?;
        // Exists as long as we listen.
        let _state = if path == SHUTDOWN { say_ready(services, store).await } else { None };
        if path == TARGET {
            loop {
                let target = node.changed().await?;
                size::follow(services, store, &target).await;
            }
        }
        loop {
            let word = node.word().await?;
            let ending = if path == SHUTDOWN { obey(&word) } else { decline_key(&word) };
            if let Some(ending) = ending {
                return Ok::<_, Error>(ending);
            }
        }
    };
    match listening.await {
        Ok(ending) => ending,
        Err(error) => {
            warn(path, &format_args!("{error}; xl is not heard"));
            pending().await
        }
    }
}

/// Announces that the guest is there, and what it supports.
async fn say_ready<X: Platform>(
    services: &Services<X>,
    store: &XenStore<X>,
) -> Option<Publication<X>> {
    for (feature, value) in FEATURES {
        // Not every toolstack allows this node; the words are obeyed regardless.
        let _ = store.write(feature, value).await;
    }
    let ready = publish(services, STATE, b"ready", Reader::Anyone).await;
    ready.map_err(|error| warn(STATE, &error)).ok()
}

fn obey(word: &[u8]) -> Option<Ending> {
    match word {
        b"poweroff" | b"halt" => return Some(Ending::Poweroff),
        b"reboot" => return Some(Ending::Reboot),
        b"crash" => {
            info(SHUTDOWN, &"the toolstack asks for a crash");
            return Some(Ending::Crash(CrashKind::Panic));
        }
        b"suspend" => info(SHUTDOWN, &"this guest cannot be suspended, saved or migrated"),
        word => {
            let word = Plain(word.get(..16).unwrap_or(word));
            let known = "poweroff, halt, reboot and crash are known";
            info(SHUTDOWN, &format_args!("{word} is ignored; {known}"));
        }
    }
    None
}

/// Declines keys that only Linux knows.
fn decline_key(key: &[u8]) -> Option<Ending> {
    let key = Plain(key.get(..16).unwrap_or(key));
    info(SYSRQ, &format_args!("{key} is ignored; this guest has no such keys"));
    None
}

fn info(node: &str, words: &dyn Display) {
    text::log(Level::Info, node, words);
}

fn warn(node: &str, words: &dyn Display) {
    text::log(Level::Warn, node, words);
}
