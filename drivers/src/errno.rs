// SPDX-License-Identifier: MIT OR Apache-2.0
//! Error numbers as callers of the services get them, and their symbolic names.

use core::fmt;

macro_rules! errnos {
    ($($name:ident = $number:literal: $doc:literal,)*) => {
        /// A positive error number, with Xen's and Linux's numbering.
        ///
        /// Not an `enum`, because Xen may return a number that is not listed here.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct Errno(pub u16);

        impl Errno {
            $(#[doc = $doc] pub const $name: Errno = Errno($number);)*

            /// All listed ones. Tables, since comparisons with each would take 1 KiB of an image.
            const ALL: &[Errno] = &[$(Errno($number)),*];
            /// Their symbols.
            const NAMES: &[&str] = &[$(stringify!($name)),*];
        }
    };
}

errnos! {
    EPERM = 1: "Not permitted.",
    ENOENT = 2: "No such index, id or node.",
    ESRCH = 3: "No such domain.",
    EINTR = 4: "A wait was interrupted.",
    EIO = 5: "A broken ring, an invalid answer, or a failed test.",
    ENXIO = 6: "Outside the index space.",
    E2BIG = 7: "Argument too long.",
    EBADF = 9: "Closed device.",
    EAGAIN = 11: "Try again.",
    ENOMEM = 12: "No memory, address space or maptrack entry.",
    EACCES = 13: "Permission denied.",
    EFAULT = 14: "Bad address.",
    EBUSY = 16: "In use.",
    EEXIST = 17: "Already exists.",
    ENODEV = 19: "Xen or this domain lacks something needed.",
    ENOTDIR = 20: "Not a directory.",
    EISDIR = 21: "Is a directory.",
    EINVAL = 22: "Invalid argument.",
    ENOTTY = 25: "Unknown device command.",
    ENOSPC = 28: "Limit or table full.",
    EROFS = 30: "Read-only.",
    EPIPE = 32: "The peer is gone.",
    ERANGE = 34: "Out of range.",
    ENOSYS = 38: "Not implemented.",
    EOVERFLOW = 75: "Value too large.",
    ENOTCONN = 107: "Not connected.",
    ETIMEDOUT = 110: "Timed out.",
    EDQUOT = 122: "Quota exceeded.",
}

impl Errno {
    /// Returns the symbol, such as `EINVAL`; `E?` for an unlisted number.
    pub const fn name(self) -> &'static str {
        let mut at = 0;
        while at < Self::ALL.len() {
            if Self::ALL[at].0 == self.0 {
                return Self::NAMES[at];
            }
            at += 1;
        }
        "E?"
    }

    /// Looks up a number by its symbol.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let mut names = Self::ALL.iter().zip(Self::NAMES);
        names.find(|(_, known)| known.as_bytes() == name).map(|(errno, _)| *errno)
    }

    /// Decodes a hypercall's return value: a negative one is an error number, any other a result.
    pub fn check(ret: i64) -> Result<u64, Self> {
        // Xen defines no number beyond 16 bits; such a value becomes an unnamed error.
        u64::try_from(ret).map_err(|_| Self(u16::try_from(ret.unsigned_abs()).unwrap_or(u16::MAX)))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_return_value_of_a_hypercall_decodes() {
        assert_eq!(Errno::check(0), Ok(0));
        assert_eq!(Errno::check(7), Ok(7));
        assert_eq!(Errno::check(-22), Err(Errno::EINVAL));
        assert_eq!(Errno::check(-4095).map_err(Errno::name), Err("E?"));
        assert_eq!(Errno::check(i64::MIN), Err(Errno(u16::MAX)));
    }

    #[test]
    fn names_and_numbers_agree_both_ways() {
        assert_eq!(Errno::from_name(b"ENOSPC"), Some(Errno::ENOSPC));
        assert_eq!(Errno::ENOSPC.name(), "ENOSPC");
        assert_eq!(Errno::from_name(b"ENOTHING"), None);
        let text = alloc::format!("{} {:?} {:?}", Errno::ENOSPC, Errno::ENOSPC, Errno(999));
        assert_eq!(text, "ENOSPC ENOSPC(28) E?(999)");
    }
}
