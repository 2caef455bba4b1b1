// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GNTTABOP_copy` on FakeXen, with Xen's checks in Xen's order.
//!
//! Stricter than Xen in one thing: it panics on a copy from or to a free page.

use std::sync::Arc;

use xen_sys::grant_table::{Gntcopy, GnttabCopy, GnttabCopyPtr, GrantEntryV1, GrantStatus};
use xen_sys::xen::DOMID_SELF;

use super::WorldState;
use super::memory::MachineFrame;
use drivers::memory::PAGE_SIZE;

impl WorldState {
    pub(super) fn copy(&mut self, caller: u16, op: &GnttabCopy) -> GrantStatus {
        self.try_copy(caller, op).err().unwrap_or(GrantStatus::OKAY)
    }

    fn try_copy(&mut self, caller: u16, op: &GnttabCopy) -> Result<(), GrantStatus> {
        // Xen doesn't check anything for a copy of 0 bytes (XSA-448).
        if op.len == 0 {
            return Ok(());
        }
        let from_grant = op.flags.contains(Gntcopy::SOURCE_GREF);
        let to_grant = op.flags.contains(Gntcopy::DEST_GREF);
        let from = self.copy_domain(caller, &op.source, from_grant)?;
        let to = self.copy_domain(caller, &op.dest, to_grant)?;
        let source = self.copy_frame(caller, from, &op.source, from_grant, true)?;
        let dest = self.copy_frame(caller, to, &op.dest, to_grant, false)?;
        let beyond = |side: &GnttabCopyPtr| usize::from(side.offset) + usize::from(op.len);
        if beyond(&op.source).max(beyond(&op.dest)) > PAGE_SIZE {
            return Err(GrantStatus::BAD_COPY_ARG);
        }
        dest.copy_from(op.dest.offset.into(), &source, op.source.offset.into(), op.len.into());
        Ok(())
    }

    /// Returns the domain that owns one side's page.
    fn copy_domain(
        &self,
        caller: u16,
        side: &GnttabCopyPtr,
        is_grant: bool,
    ) -> Result<u16, GrantStatus> {
        if !is_grant && side.domid != DOMID_SELF {
            return Err(GrantStatus::PERMISSION_DENIED);
        }
        self.resolve(caller, side.domid).ok_or(GrantStatus::BAD_DOMAIN)
    }

    fn copy_frame(
        &mut self,
        caller: u16,
        owner: u16,
        side: &GnttabCopyPtr,
        is_grant: bool,
        readonly: bool,
    ) -> Result<Arc<MachineFrame>, GrantStatus> {
        let gfn = if is_grant {
            let gref = side.u as u32;
            if gref >= self.domain(owner).grant_frames * GrantEntryV1::PER_FRAME {
                return Err(GrantStatus::BAD_GNTREF);
            }
            self.pinnable(caller, owner, gref, readonly)?.gfn
        } else {
            side.u
        };
        let domain = self.domain(owner);
        let frame = domain.frame(gfn)?;
        assert!(!domain.free.contains(&gfn), "copied from or to a page that is not allocated");
        Ok(frame)
    }
}
