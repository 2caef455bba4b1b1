// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls of gntdev.

use alloc::format;
use core::mem::offset_of;

use super::{How, Script, ended, list, shown};
use crate::argument::Argument;
use crate::names::{File, Grant, Index, Mapped, Place};
use xen_sys::linux::gntdev::{
    IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, IOCTL_GNTDEV_MAP_GRANT_REF, IOCTL_GNTDEV_SET_MAX_GRANTS,
    IOCTL_GNTDEV_SET_UNMAP_NOTIFY, IOCTL_GNTDEV_UNMAP_GRANT_REF, IoctlGntdevGetOffsetForVaddr,
    IoctlGntdevMapGrantRef,
};

impl Script<'_> {
    /// Opens both devices, shares `count` pages with the domain itself, and reserves and maps them.
    pub(crate) fn mapped(&mut self, count: u32, how: How) -> Mapped {
        let (dev, pages) = (self.gntdev(), self.share(count));
        let run = self.reserve(dev, &pages.grants);
        let at = self.mmap(dev, run, count.into(), how);
        Mapped { dev, pages, run, at }
    }

    /// MAP_GRANT_REF.
    pub(crate) fn reserve(&mut self, file: File, grants: &[Grant]) -> Index {
        let mut argument = Argument::default().u32(grants.len() as u32).u32(0).u64(0);
        for grant in grants {
            argument = argument.u32(grant.domid).u32(grant.gref);
        }
        let mut argument = argument.padded(size_of::<IoctlGntdevMapGrantRef>());
        let done = self.call(file, IOCTL_GNTDEV_MAP_GRANT_REF, &mut argument.0);
        let given = matches!(done, Some(Ok(())));
        let index = self.name_index(given.then(|| {
            let index = argument.u64_at(offset_of!(IoctlGntdevMapGrantRef, index));
            (index, grants.len() as u64)
        }));
        let shown = if given { format!("ok {index}") } else { ended(done) };
        let grants = if grants.len() > 8 { format!("{}", grants.len()) } else { list(grants) };
        self.line(format_args!("MAP {file} {grants}"), shown);
        index
    }

    /// MAP_GRANT_REF with a header that says `count`, in an argument of only `bytes` bytes.
    pub(crate) fn reserve_cut(&mut self, file: File, count: u32, bytes: usize) {
        let mut argument = Argument::default().u32(count).padded(bytes).0;
        let words = format!("MAP({count} in {bytes}B)");
        self.ioctl(file, &words, IOCTL_GNTDEV_MAP_GRANT_REF, &mut argument[..bytes]);
    }

    /// UNMAP_GRANT_REF.
    pub(crate) fn remove(&mut self, file: File, index: Index, count: u32) {
        let done = self.call_at(file, IOCTL_GNTDEV_UNMAP_GRANT_REF, index, [count, 0]);
        self.line(format_args!("UNMAP {file} {index} {count}"), ended(done));
    }

    /// GET_OFFSET_FOR_VADDR.
    pub(crate) fn offset(&mut self, file: File, place: Place) {
        let mut argument = Argument::default().u64(place.value.unwrap_or(0)).u64(0).u32(0).u32(0);
        let done = place
            .value
            .and_then(|_| self.call(file, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &mut argument.0));
        let result = match done {
            Some(Ok(())) => {
                let offset = argument.u64_at(offset_of!(IoctlGntdevGetOffsetForVaddr, offset));
                let count = argument.u32_at(offset_of!(IoctlGntdevGetOffsetForVaddr, count));
                format!("ok {} {count}", self.find_index(offset))
            }
            Some(Err(errno)) => shown(Err(errno)),
            None => ended(None),
        };
        self.line(format_args!("GET_OFFSET {file} {place}"), result);
    }

    /// SET_MAX_GRANTS.
    pub(crate) fn set_max(&mut self, file: File, count: u32) {
        let mut argument = Argument::default().u32(count).0;
        let done = self.call(file, IOCTL_GNTDEV_SET_MAX_GRANTS, &mut argument);
        self.line(format_args!("SET_MAX {file} {count}"), ended(done));
    }

    /// SET_UNMAP_NOTIFY of either device.
    pub(crate) fn notify(&mut self, file: File, index: Index, action: u32, port: u32) {
        let done = self.call_at(file, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, index, [action, port]);
        self.line(format_args!("NOTIFY {file} {index} action={action}"), ended(done));
    }
}
