// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GNTST_eagain`: the granter's page is on its way back from swap or from being shared.
//!
//! Xen asks the caller to try again. Retrying forever would let a granter hold us up, so retries
//! are bounded, and only entries with this status are retried.

use xen_sys::grant_table::GrantStatus;

use crate::{Errno, Hypervisor};

/// The number of retries, with a yield before each.
pub(crate) const ATTEMPTS: u32 = 16;

/// Repeats `call` on each run of entries whose status is eagain, until there is none or the retries
/// are spent. `call` prepares its entries itself.
///
/// # Errors
/// The hypercall's own; entries that it didn't reach keep the status that `call` set.
pub(crate) fn retry<X: Hypervisor, T>(
    xen: &X,
    ops: &mut [T],
    status: impl Fn(&T) -> GrantStatus,
    mut call: impl FnMut(&mut [T]) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let waits = |op: &T| status(op) == GrantStatus::EAGAIN;
    for _ in 0..ATTEMPTS {
        if !ops.iter().any(waits) {
            return Ok(());
        }
        xen.yield_cpu();
        for run in ops.chunk_by_mut(|one, next| waits(one) == waits(next)) {
            if run.first().is_some_and(waits) {
                call(run)?;
            }
        }
    }
    Ok(())
}
