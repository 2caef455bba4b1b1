//! Manners towards the toolstack: what xl asks for is acknowledged and done.
//!
//! xl writes a word into `control/shutdown`. The guest acknowledges it by emptying the node before
//! it ends; a word that it does not obey it leaves there, which xl takes as a refusal.
//!
//! `data/grantkit/state` holds `ready` once the guest listens to xl. All domains may read it, so a
//! peer can tell when this guest is gone.

use core::future::pending;

use drivers::memory::Platform;
use drivers::xenstore::XenStore;
use drivers::{ClaimedDomId, DomId, Error, Services};

use crate::machine::Ending;
use crate::xenstore::{look, persist, publish};

const SHUTDOWN: &str = "control/shutdown";
const STATE: &str = "data/grantkit/state";

/// Completes when the toolstack wants the guest to end; how.
pub(crate) async fn mind<X: Platform>(services: &Services<X>) -> Ending {
    if let Some(store) = &services.xenstore {
        match listen(services, store).await {
            Ok(ending) => return ending,
            Err(error) => log::warn!("{SHUTDOWN}: {error}; xl shutdown is not heard"),
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

async fn listen<X: Platform>(services: &Services<X>, store: &XenStore<X>) -> Result<Ending, Error> {
    let xen = &services.system;
    let mut watch = store.watch(SHUTDOWN).await?;
    if let Err(error) = publish(services, store, STATE, b"ready").await {
        log::warn!("{STATE}: {error}");
    }
    loop {
        watch.event().await?;
        // A node that can't be read counts as empty.
        let word = persist(xen, &|| store.read(SHUTDOWN)).await.unwrap_or_default();
        let ending = match &*word {
            b"" => continue,
            b"poweroff" => Ending::Poweroff,
            b"reboot" => Ending::Reboot,
            _ => {
                let word = word[..word.len().min(16)].escape_ascii();
                log::info!("{SHUTDOWN}: {word} is ignored; poweroff and reboot are known");
                continue;
            }
        };
        if let Err(error) = persist(xen, &|| store.write(SHUTDOWN, b"")).await {
            log::warn!("{SHUTDOWN}: {error}");
        }
        return Ok(ending);
    }
}
