// SPDX-License-Identifier: MIT OR Apache-2.0
//! Retrying requests while xenstore is busy or memory is short.

use crate::memory::Platform;
use crate::{Errno, Error, System};

/// How often a request is tried, and the pause between tries: 20 ms.
const TRIES: u32 = 5;
const PAUSE_NS: u64 = 20_000_000;

/// Makes a request, up to 5 times as long as the answer is EAGAIN or ENOMEM, at intervals of 20 ms.
///
/// # Errors
/// The last try's.
pub async fn persist<X: Platform, T, F: Future<Output = Result<T, Error>>>(
    system: &System<X>,
    request: &dyn Fn() -> F,
) -> Result<T, Error> {
    // One place that awaits, since each would contain the whole request.
    let mut tries = 1;
    loop {
        match request().await {
            Err(error)
                if tries < TRIES && matches!(error.errno(), Errno::EAGAIN | Errno::ENOMEM) => {}
            answer => return answer,
        }
        tries += 1;
        system.sleep_until(system.now().saturating_add(PAUSE_NS)).await;
    }
}
