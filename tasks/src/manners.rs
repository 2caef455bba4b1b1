//! Manners towards the toolstack: what xl asks for is heard, answered and done.
//!
//! xl writes a word into `control/shutdown` and takes an empty value there as the guest's word
//! that it is going; it wants that before the guest is gone. A word that is not obeyed is left as
//! it is, which xl reads as a refusal. `data/grantkit/state` says `ready` once xl is being heard; all
//! may read it, so that a peer can tell when this guest is gone.

use core::future::pending;

use drivers::memory::Platform;
use drivers::xenstore::XenStore;
use drivers::{DomId, Error, Services};

use crate::shell::Ending;
use crate::xenstore::{look, persist, publish};

const SHUTDOWN: &str = "control/shutdown";
const STATE: &str = "data/grantkit/state";

/// Completes when the toolstack wants the guest to end, with how.
pub(crate) async fn mind<X: Platform>(services: &Services<X>) -> Ending {
    if let Some(store) = &services.xenstore {
        match listen(services, store).await {
            Ok(ending) => return ending,
            Err(error) => log::warn!("{SHUTDOWN}: {error}; xl shutdown is not heard"),
        }
    }
    pending().await
}

/// Whether a domain's own state can be read: it can as long as a guest like this one is there.
/// `None` if xenstore does not say.
pub(crate) async fn is_there<X: Platform>(services: &Services<X>, domid: u16) -> Option<bool> {
    let (store, domid) = (services.xenstore.as_ref()?, DomId::new(domid)?);
    Some(look(&services.xen, store, domid, STATE).await.ok()?.is_some())
}

async fn listen<X: Platform>(services: &Services<X>, store: &XenStore<X>) -> Result<Ending, Error> {
    let xen = &services.xen;
    let mut watch = store.watch(SHUTDOWN).await?;
    if let Err(error) = publish(services, store, STATE, b"ready").await {
        log::warn!("{STATE}: {error}");
    }
    loop {
        watch.event().await?;
        // A node that can't be read holds no word for us.
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
