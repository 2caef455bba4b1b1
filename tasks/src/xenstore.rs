//! What the guest's tasks have in common when they talk to xenstore.

use alloc::vec::Vec;

use drivers::memory::Platform;
use drivers::xenstore::Request;
use drivers::{Errno, Error};

/// How often a request that is to be tried again is made, and the pause in between: 20 ms.
const TRIES: u32 = 5;
const PAUSE_NS: u64 = 20_000_000;

/// Whether what failed is to be tried again; then the pause before that is over.
pub(crate) async fn again<X: Platform>(xen: &X, error: Error, tries: u32) -> bool {
    let again = error.errno() == Errno::EAGAIN && tries < TRIES;
    if again {
        xen.sleep_until(xen.now() + PAUSE_NS).await;
    }
    again
}

/// Makes a request, and makes it again while xenstore says EAGAIN, a few times.
pub(crate) async fn persist<X: Platform>(
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
