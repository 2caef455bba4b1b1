//! The calls of gntdev.

use alloc::format;

use super::{Stage, ended, list, shown};
use crate::abi::{self, Bytes, u32_at, u64_at};
use crate::names::{File, Grant, Index, Place};

impl Stage<'_> {
    /// MAP_GRANT_REF.
    pub(crate) fn insert(&mut self, file: File, grants: &[Grant]) -> Index {
        let mut argument = Bytes::default().u32(grants.len() as u32).u32(0).u64(0);
        for grant in grants {
            argument = argument.u32(grant.domid).u32(grant.gref);
        }
        let mut argument = argument.padded(24).0;
        let done = self.call(file, abi::MAP_GRANT_REF, &mut argument);
        let given = matches!(done, Some(Ok(())));
        let index = self.name_index(given.then(|| (u64_at(&argument, 8), grants.len() as u64)));
        let shown = if given { format!("ok {index}") } else { ended(done) };
        let grants = if grants.len() > 8 { format!("{}", grants.len()) } else { list(grants) };
        self.line(format_args!("MAP {file} {grants}"), shown);
        index
    }

    /// MAP_GRANT_REF of as many references as its header says, with fewer behind it.
    pub(crate) fn insert_cut(&mut self, file: File, count: u32, bytes: usize) {
        let mut argument = Bytes::default().u32(count).padded(bytes).0;
        argument.truncate(bytes);
        self.ioctl(file, &format!("MAP({count} in {bytes}B)"), abi::MAP_GRANT_REF, &mut argument);
    }

    /// UNMAP_GRANT_REF.
    pub(crate) fn remove(&mut self, file: File, index: Index, count: u32) {
        let mut argument = Bytes::default().u64(index.value.unwrap_or(0)).u32(count).u32(0).0;
        let done = index.value.and_then(|_| self.call(file, abi::UNMAP_GRANT_REF, &mut argument));
        self.line(format_args!("UNMAP {file} {index} {count}"), ended(done));
    }

    /// GET_OFFSET_FOR_VADDR.
    pub(crate) fn offset(&mut self, file: File, place: Place) {
        let mut argument = Bytes::default().u64(place.value.unwrap_or(0)).u64(0).u32(0).u32(0).0;
        let done =
            place.value.and_then(|_| self.call(file, abi::GET_OFFSET_FOR_VADDR, &mut argument));
        let result = match done {
            Some(Ok(())) => {
                let index = self.find_index(u64_at(&argument, 8));
                format!("ok {index} {}", u32_at(&argument, 16))
            }
            Some(Err(errno)) => shown(Err(errno)),
            None => ended(None),
        };
        self.line(format_args!("GET_OFFSET {file} {place}"), result);
    }

    /// SET_MAX_GRANTS.
    pub(crate) fn set_max(&mut self, file: File, count: u32) {
        let mut argument = Bytes::default().u32(count).0;
        let done = self.call(file, abi::SET_MAX_GRANTS, &mut argument);
        self.line(format_args!("SET_MAX {file} {count}"), ended(done));
    }

    /// SET_UNMAP_NOTIFY, of either device. `port`: one that was not opened shows as its number.
    pub(crate) fn notify(&mut self, file: File, index: Index, action: u32, port: u32) {
        let mut argument = Bytes::default().u64(index.value.unwrap_or(0)).u32(action).u32(port).0;
        let done = index.value.and_then(|_| self.call(file, abi::SET_UNMAP_NOTIFY, &mut argument));
        self.line(format_args!("NOTIFY {file} {index} action={action}"), ended(done));
    }
}
