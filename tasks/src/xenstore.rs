//! What the guest's tasks have in common when they talk to xenstore.

use alloc::format;
use alloc::vec::Vec;

use drivers::memory::Platform;
use drivers::xenstore::{Permission, Request, XenStore};
use drivers::{DomId, Errno, Error, Services};

/// How often a request that is to be tried again is made, and the pause in between: 20 ms.
const TRIES: u32 = 5;
const PAUSE_NS: u64 = 20_000_000;

/// Whether what failed is to be tried again; then the pause before that is over.
pub async fn again<X: Platform>(xen: &X, error: Error, tries: u32) -> bool {
    let again = error.errno() == Errno::EAGAIN && tries < TRIES;
    if again {
        xen.sleep_until(xen.now() + PAUSE_NS).await;
    }
    again
}

/// Makes a request, and makes it again while xenstore says EAGAIN, a few times.
pub async fn persist<X: Platform>(
    xen: &X,
    request: &dyn Fn() -> Request<X>,
) -> Result<Vec<u8>, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match request().await {
            Err(error) if again(xen, error, tries).await => {}
            answer => return answer,
        }
    }
}

/// Sets a node of this domain's, for all to read.
pub async fn publish<X: Platform>(
    services: &Services<X>,
    store: &XenStore<X>,
    path: &str,
    value: &[u8],
) -> Result<(), Error> {
    persist(&services.xen, &|| store.write(path, value)).await?;
    let all = [Permission { domid: services.domid, read: true, write: false }];
    persist(&services.xen, &|| store.set_permissions(path, &all)).await.map(drop)
}

/// What another domain's node says; `None` if there is none to be read.
pub async fn look<X: Platform>(
    xen: &X,
    store: &XenStore<X>,
    domid: DomId,
    path: &str,
) -> Result<Option<Vec<u8>>, Error> {
    let node = format!("/local/domain/{domid}/{path}");
    match persist(xen, &|| store.read(&node)).await {
        Ok(value) => Ok(Some(value)),
        Err(Error::XenStore(Errno::EACCES | Errno::ENOENT)) => Ok(None),
        Err(error) => Err(error),
    }
}
