// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GNTST_eagain`: the granter's page is on its way back from swap or from being shared.
//!
//! Xen asks the caller to try again; for ever would let a granter hold us up, so the tries are
//! bounded, and only what Xen answered so is asked for again.

use xen_sys::grant_table::GrantStatus;

use crate::{Errno, Hypervisor};

/// Tries after the first one, with a yield before each.
pub(crate) const ATTEMPTS: u32 = 16;

/// Makes `call` again on each run of entries whose status is eagain, until none is or the tries
/// are spent. `call` prepares its entries itself.
///
/// # Errors
/// The hypercall's own; what it didn't come to keeps the status that `call` gave it.
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
