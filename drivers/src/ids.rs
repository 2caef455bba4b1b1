// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers from outside, as types that state what is known about them.
//!
//! A [`DomId`] is in the range of domains that can be granted pages; only Xen knows whether the
//! domain exists. A [`GrantRef`] or [`PortNumber`] is just a number that somebody announced: a
//! claim, not a right.

use core::fmt;
use core::str::FromStr;

use xen_sys::xen::DOMID_FIRST_RESERVED;

/// A domain's number, 0 to 0x7FEF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomId(u16);

impl DomId {
    /// The first domain, which runs the toolstack.
    pub const DOM0: Self = Self(0);

    /// Checks that `number` is an ordinary domain's: not DOMID_SELF or another of the reserved
    /// numbers from 0x7FF0 on.
    pub const fn new(number: u16) -> Option<Self> {
        if number < DOMID_FIRST_RESERVED { Some(Self(number)) } else { None }
    }

    /// Returns the number that Xen expects.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns a claimed grant of this domain.
    pub const fn grant(self, gref: GrantRef) -> ClaimedGrant {
        ClaimedGrant { domid: ClaimedDomId(self.0), gref }
    }
}

impl FromStr for DomId {
    type Err = NotADomId;

    /// Parses a decimal number below 32752 (0x7ff0).
    fn from_str(text: &str) -> Result<Self, NotADomId> {
        text.parse().ok().and_then(Self::new).ok_or(NotADomId)
    }
}

/// The error for a number or text that is not a [`DomId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADomId;

impl NotADomId {
    /// What would be valid.
    pub(crate) const WORDS: &'static str = "a domain's number is below 32752 (0x7ff0)";
}

impl fmt::Display for NotADomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::WORDS)
    }
}

impl core::error::Error for NotADomId {}

impl fmt::Display for DomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A grant reference: an index into the granter's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantRef(pub u32);

impl fmt::Display for GrantRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A domain's number as somebody claims it: any 16 bits. As in the [seed](crate), reserving a grant
/// accepts any value, and Xen refuses a wrong one at map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimedDomId(pub u16);

impl From<DomId> for ClaimedDomId {
    fn from(domid: DomId) -> Self {
        Self(domid.0)
    }
}

impl fmt::Display for ClaimedDomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A grant as its granter announced it: a claim, not yet known to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimedGrant {
    /// The granting domain.
    pub domid: ClaimedDomId,
    /// Its grant reference.
    pub gref: GrantRef,
}

impl ClaimedGrant {
    /// Names reference `gref` of domain `domid`; both may be any number.
    pub const fn new(domid: u16, gref: u32) -> Self {
        Self { domid: ClaimedDomId(domid), gref: GrantRef(gref) }
    }
}

/// An event channel's port number in one domain; open ports have 1 to 4095.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortNumber(pub u32);

impl fmt::Display for PortNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a grant or a mapping allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reading and writing.
    ReadWrite,
    /// Reading only.
    ReadOnly,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Access::ReadWrite => "rw",
            Access::ReadOnly => "ro",
        })
    }
}

/// What the owner of a granted page can see of the peer's use: `GTF_reading` and `GTF_writing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// The peer has not mapped it.
    Idle,
    /// Mapped read-only.
    MappedRo,
    /// Mapped, with at least one writable mapping.
    MappedRw,
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PeerState::Idle => "idle",
            PeerState::MappedRo => "mapped-ro",
            PeerState::MappedRw => "mapped-rw",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString};

    #[test]
    fn a_reserved_domain_number_is_not_a_domid() {
        assert_eq!(DomId::new(0x7FEF).map(DomId::get), Some(0x7FEF));
        assert_eq!(DomId::new(0x7FF0), None);
        assert_eq!(DomId::new(u16::MAX), None);
        assert_eq!("32751".parse(), Ok(DomId(0x7FEF)));
        for none in ["32752", "99999", "-1", "x", ""] {
            assert_eq!(none.parse::<DomId>(), Err(NotADomId), "{none}");
        }
        assert_eq!(NotADomId.to_string(), "a domain's number is below 32752 (0x7ff0)");
    }

    #[test]
    fn numbers_and_states_format_readably_and_can_be_aligned() {
        assert_eq!(format!("{:>3}|{:<3}|", DomId(7), ClaimedDomId(7)), "  7|7  |");
        assert_eq!(format!("{:>3}|{:03}", GrantRef(8), PortNumber(9)), "  8|009");
        let words = [Access::ReadWrite, Access::ReadOnly].map(|access| format!("{access:>3}"));
        assert_eq!(words, [" rw", " ro"]);
        let states = [PeerState::Idle, PeerState::MappedRo, PeerState::MappedRw];
        let words = states.map(|state| format!("{state:<9}|"));
        assert_eq!(words, ["idle     |", "mapped-ro|", "mapped-rw|"]);
    }

    #[test]
    fn a_grant_is_claimed_by_its_domain_and_its_reference() {
        let claimed = ClaimedGrant::new(7, 9);
        assert_eq!(claimed, DomId(7).grant(GrantRef(9)));
        assert_eq!((claimed.domid, claimed.gref), (DomId(7).into(), GrantRef(9)));
    }
}
