//! Manners towards the toolstack: what xl asks for is acknowledged and done.
//!
//! xl writes a word into `control/shutdown`. The guest acknowledges it by emptying the node before
//! it ends; a word that it does not obey it leaves there, which xl takes as a refusal.
//!
//! `data/grantkit/state` holds `ready` while the guest listens to xl. All domains may read it, so a
//! peer can tell when this guest is gone.

use alloc::vec::Vec;
use core::fmt::Display;
use core::future::pending;

use drivers::memory::Platform;
use drivers::xenstore::{Watch, XenStore};
use drivers::{ClaimedDomId, DomId, Errno, Error, Services};
use embassy_futures::select::{Either, select};
use log::Level;

use crate::machine::Ending;
use crate::text;
use crate::xenstore::{look, persist, publish};

const SHUTDOWN: &str = "control/shutdown";
const STATE: &str = "data/grantkit/state";

/// The pause before xenstore is asked again: 100 ms.
const PAUSE_NS: u64 = 100_000_000;

/// Completes when the toolstack wants the guest to end; how.
pub(crate) async fn mind<X: Platform>(services: &Services<X>) -> Ending {
    if let Some(store) = &services.xenstore {
        match listen(services, store).await {
            Ok(ending) => return ending,
            Err(error) => warn(SHUTDOWN, &format_args!("{error}; xl shutdown is not heard")),
        }
    }
    pending().await
}

/// Whether a domain has a state node, as guests like this one have. `None` if xenstore doesn't
/// answer.
pub(crate) async fn is_there<X: Platform>(
    services: &Services<X>,
    domid: ClaimedDomId,
) -> Option<bool> {
    let (store, domid) = (services.xenstore.as_ref()?, DomId::new(domid.0)?);
    Some(look(&services.system, store, domid, STATE).await.ok()?.is_some())
}

/// Fails only once the connection to xenstore is broken: every other failure may pass, and a word
/// that is overlooked is lost.
async fn listen<X: Platform>(services: &Services<X>, store: &XenStore<X>) -> Result<Ending, Error> {
    let mut watch = set_watch(services, store).await?;
    // There until we listen no more.
    let state = publish(services, store, STATE, b"ready").await;
    if let Err(error) = &state {
        warn(STATE, error);
    }
    loop {
        watch.event().await?;
        let word = read_word(services, store, &mut watch).await?;
        let ending = match &*word {
            b"" => continue,
            b"poweroff" => Ending::Poweroff,
            b"reboot" => Ending::Reboot,
            _ => {
                let word = word.get(..16).unwrap_or(&word).escape_ascii();
                let words = format_args!("{word} is ignored; poweroff and reboot are known");
                text::log(Level::Info, SHUTDOWN, &words);
                continue;
            }
        };
        if let Err(error) = persist(&services.system, || store.write(SHUTDOWN, b"")).await {
            warn(SHUTDOWN, &error);
        }
        return Ok(ending);
    }
}

fn warn(node: &str, words: &dyn Display) {
    text::log(Level::Warn, node, words);
}

/// Watches for the word, as soon as xenstore lets us.
async fn set_watch<X: Platform>(
    services: &Services<X>,
    store: &XenStore<X>,
) -> Result<Watch<X>, Error> {
    let mut told = false;
    loop {
        match store.watch(SHUTDOWN).await {
            Err(error) if error.errno() != Errno::EIO => {
                if !told {
                    warn(SHUTDOWN, &format_args!("{error}; xl shutdown is not heard yet"));
                }
                told = true;
                services.system.sleep_until(services.system.now() + PAUSE_NS).await;
            }
            done => return done,
        }
    }
}

/// The word, empty if there is none. Asks until xenstore has said which.
async fn read_word<X: Platform>(
    services: &Services<X>,
    store: &XenStore<X>,
    watch: &mut Watch<X>,
) -> Result<Vec<u8>, Error> {
    loop {
        match store.read(SHUTDOWN).await {
            Ok(word) => return Ok(word),
            Err(Error::XenStore(Errno::ENOENT)) => return Ok(Vec::new()),
            Err(_) => {}
        }
        let pause = services.system.sleep_until(services.system.now() + PAUSE_NS);
        // The watch fails once the connection is broken.
        if let Either::First(event) = select(watch.event(), pause).await {
            event?;
        }
    }
}
