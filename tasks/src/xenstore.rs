//! Requests to xenstore that are tried again while it says EAGAIN, or while memory is short.

use alloc::vec::Vec;
use core::fmt::Write;

use drivers::memory::Platform;
use drivers::xenstore::{Publication, Reader, XenStore};
use drivers::{DomId, Errno, Error, Services, System};

use crate::text::Text;

/// How often a request is tried, and the pause in between: 20 ms.
const TRIES: u32 = 5;
const PAUSE_NS: u64 = 20_000_000;

/// This domain's xenstore.
///
/// # Errors
/// ENODEV in dom0's place, where there is none.
pub fn store<X: Platform>(services: &Services<X>) -> Result<&XenStore<X>, Error> {
    let absent = Error::Local(Errno::ENODEV, "this domain has no xenstore");
    services.xenstore.as_ref().ok_or(absent)
}

/// Whether a request that failed `tries` times is to be tried again. Waits out the pause first.
pub async fn again<X: Platform>(system: &System<X>, error: Error, tries: u32) -> bool {
    let passes = matches!(error.errno(), Errno::EAGAIN | Errno::ENOMEM);
    let again = passes && tries < TRIES;
    if again {
        system.sleep_until(system.now() + PAUSE_NS).await;
    }
    again
}

/// Makes a request, up to 5 times while the answer is EAGAIN or ENOMEM.
///
/// # Errors
/// The last answer's.
pub async fn persist<X: Platform, T>(
    system: &System<X>,
    request: impl AsyncFn() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match request().await {
            Err(error) if again(system, error, tries).await => {}
            answer => return answer,
        }
    }
}

/// Publishes a node of this domain's for all domains to read, tried as [`persist`] does.
///
/// # Errors
/// Xenstore's.
pub async fn publish<X: Platform>(
    services: &Services<X>,
    store: &XenStore<X>,
    path: &str,
    value: &[u8],
) -> Result<Publication<X>, Error> {
    persist(&services.system, || store.publish(path, value, Reader::Anyone)).await
}

/// The value of another domain's node; `None` if there is none that we may read.
///
/// # Errors
/// Xenstore's, other than ENOENT and EACCES; ENOMEM.
pub async fn look<X: Platform>(
    system: &System<X>,
    store: &XenStore<X>,
    domid: DomId,
    path: &str,
) -> Result<Option<Vec<u8>>, Error> {
    let mut node = Text::new();
    write!(node, "/local/domain/{domid}/{path}").map_err(|_| Error::NO_MEMORY)?;
    match persist(system, || store.read(node.as_str())).await {
        Ok(value) => Ok(Some(value)),
        Err(Error::XenStore(Errno::EACCES | Errno::ENOENT)) => Ok(None),
        Err(error) => Err(error),
    }
}
