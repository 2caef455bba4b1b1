//! What the guest's tasks have in common when they talk to xenstore.

use alloc::vec::Vec;

use drivers::memory::Platform;
use drivers::xenstore::Request;
use drivers::{Errno, Error};

/// How often a request that is to be tried again is made, and the pause in between: 20 ms.
const TRIES: u32 = 5;
const PAUSE_NS: u64 = 20_000_000;

/// Makes a request, and makes it again while xenstore says EAGAIN, a few times.
pub(crate) async fn persist<X: Platform>(
    xen: &X,
    mut request: impl FnMut() -> Request<X>,
) -> Result<Vec<u8>, Error> {
    let mut tries = 0;
    loop {
        let answer = request().await;
        tries += 1;
        match answer {
            Err(error) if error.errno() == Errno::EAGAIN && tries < TRIES => {
                xen.sleep_until(xen.now() + PAUSE_NS).await;
            }
            _ => return answer,
        }
    }
}
