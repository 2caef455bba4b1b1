// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths: their limits, checked before anything is sent, and the domain whose node a path names.
//!
//! Xenstore decides which characters and slashes are allowed. Only zero bytes are refused here:
//! they separate the parts of a message.

use alloc::string::String;
use alloc::vec::Vec;

use xen_sys::io::xs_wire::{XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX};

use super::message::{decimal, digits};
use crate::{DomId, Errno, Error, list};

/// Checks that a path can be sent.
///
/// # Errors
/// EINVAL if it is empty or contains a zero byte, E2BIG if it is too long.
pub(super) fn check(path: &str) -> Result<(), Error> {
    if path.is_empty() || path.contains('\0') {
        return Err(Error::Local(Errno::EINVAL, &"a path has at least one byte, and none is zero"));
    }
    let max = if path.starts_with('/') { XENSTORE_ABS_PATH_MAX } else { XENSTORE_REL_PATH_MAX };
    if path.len() > max {
        let words = &"a path has at most 3072 bytes, and 2048 if it is relative";
        return Err(Error::Local(Errno::E2BIG, words));
    }
    Ok(())
}

/// A domain's node: `/local/domain/<domid>/<rest>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainPath<'a> {
    /// The domain.
    pub domid: DomId,
    /// The path relative to the domain's directory.
    pub rest: &'a str,
}

impl<'a> DomainPath<'a> {
    /// Splits an absolute path; `None` if it is not below a domain.
    pub fn parse(path: &'a str) -> Option<Self> {
        let (number, rest) = path.strip_prefix("/local/domain/")?.split_once('/')?;
        let domid = DomId::new(decimal(number.as_bytes())?.try_into().ok()?)?;
        Some(Self { domid, rest })
    }

    /// Returns the absolute path.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn absolute(&self) -> Result<String, Error> {
        let mut buffer = [0; 10];
        let number = digits(self.domid.get().into(), &mut buffer);
        let parts = [b"/local/domain/", number, b"/", self.rest.as_bytes()];
        let mut path = Vec::new();
        list::extend(&mut path, parts.into_iter().flatten().copied())?;
        // Can't fail: concatenated strings are UTF-8.
        String::from_utf8(path).map_err(|_| Error::Local(Errno::EINVAL, &"the path is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_too_long_or_has_a_zero_byte_is_refused() {
        let long = |first: &str, len: usize| String::from(first) + &"x".repeat(len - 1);
        assert_eq!(check(&long("/", 3072)), Ok(()));
        assert_eq!(check(&long("/", 3073)).map_err(|e| e.errno()), Err(Errno::E2BIG));
        assert_eq!(check(&long("a", 2048)), Ok(()));
        assert_eq!(check(&long("a", 2049)).map_err(|e| e.errno()), Err(Errno::E2BIG));
        assert_eq!(check("").map_err(|e| e.errno()), Err(Errno::EINVAL));
        assert_eq!(check("a\0b").map_err(|e| e.errno()), Err(Errno::EINVAL));
    }

    #[test]
    fn the_owner_of_a_node_is_in_its_path() {
        let parse = |path| DomainPath::parse(path).map(|path| (path.domid.get(), path.rest));
        assert_eq!(parse("/local/domain/7/data/x"), Some((7, "data/x")));
        let path = DomainPath::parse("/local/domain/7/data/x").unwrap();
        assert_eq!(path.absolute().unwrap(), "/local/domain/7/data/x");
        for none in ["/local/domain", "/local/domain/7", "/local/domain/+7/x", "data/x"] {
            assert_eq!(parse(none), None, "{none}");
        }
        assert_eq!(parse("/local/domain/99999999999/x"), None);
        assert_eq!(parse("/local/domain/32752/x"), None);
    }
}
