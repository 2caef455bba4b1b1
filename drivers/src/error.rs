// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a call of a service failed: the errno that the [seeds](crate) would return, and Xen's status
//! if Xen refused.

use core::convert::Infallible;
use core::fmt;

use xen_sys::grant_table::GrantStatus;

use crate::hypervisor::Call;
use crate::ids::NotADomId;
use crate::{Errno, GrantRef};

/// Why a call of a service failed. Unless the call's documentation says otherwise, it changed
/// nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// Detected without asking Xen: the errno, and what is wrong or what would be right. One
    /// pointer to the words, so that a result without a value fits two registers.
    Local(Errno, &'static &'static str),
    /// Xen refused this reference. Other references of the batch may have other statuses; the
    /// reservation keeps them all.
    Refused {
        /// Xen's status, negative in every version so far.
        status: GrantStatus,
        /// The first reference that got this status.
        gref: GrantRef,
    },
    /// The hypercall itself failed, with this errno.
    Hypercall(Call, Errno),
    /// Xenstore refused.
    XenStore(Errno),
}

impl Error {
    /// No memory for a service's tables.
    pub const NO_MEMORY: Error = Error::Local(Errno::ENOMEM, &"out of memory");

    /// An address that is in no mapping of the device.
    pub const BAD_ADDRESS: Error =
        Error::Local(Errno::EFAULT, &"the address is not in a mapping of this device");

    /// Returns the errno for the caller.
    pub fn errno(&self) -> Errno {
        match *self {
            Error::Local(errno, _) | Error::Hypercall(_, errno) | Error::XenStore(errno) => errno,
            Error::Refused { status, .. } => status_errno(status),
        }
    }

    /// Returns Xen's status if Xen refused a grant.
    pub fn status(&self) -> Option<GrantStatus> {
        match *self {
            Error::Refused { status, .. } => Some(status),
            Error::Local(..) | Error::Hypercall(..) | Error::XenStore(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Local(_, words) => f.write_str(words),
            Error::Refused { status, gref } => {
                write!(f, "Xen refused reference {gref}: {} ({})", status_name(status), status.0)
            }
            Error::XenStore(errno) => write!(f, "xenstore refused: {errno}"),
            Error::Hypercall(call, errno) => write!(f, "hypercall {} failed: {errno}", call.name()),
        }
    }
}

/// As for people: a failed `expect` shows it, and a derived one would take 2 KiB of an image.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Error {}

impl From<NotADomId> for Error {
    fn from(_: NotADomId) -> Self {
        Error::Local(Errno::EINVAL, &NotADomId::WORDS)
    }
}

/// Allows `?` after infallible operations, such as the console's [`embedded_io_async`] methods.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Returns the readable name of a `GNTST_*` status in Xen's header.
pub fn status_name(status: GrantStatus) -> &'static str {
    match status {
        GrantStatus::OKAY => "okay",
        GrantStatus::GENERAL_ERROR => "general_error",
        GrantStatus::BAD_DOMAIN => "bad_domain",
        GrantStatus::BAD_GNTREF => "bad_gntref",
        GrantStatus::BAD_HANDLE => "bad_handle",
        GrantStatus::BAD_VIRT_ADDR => "bad_virt_addr",
        GrantStatus::BAD_DEV_ADDR => "bad_dev_addr",
        GrantStatus::NO_DEVICE_SPACE => "no_device_space",
        GrantStatus::PERMISSION_DENIED => "permission_denied",
        GrantStatus::BAD_PAGE => "bad_page",
        GrantStatus::BAD_COPY_ARG => "bad_copy_arg",
        GrantStatus::ADDRESS_TOO_BIG => "address_too_big",
        GrantStatus::EAGAIN => "eagain",
        GrantStatus::NO_SPACE => "no_space",
        _ => "unknown",
    }
}

/// Checks the status of one entry of a batch. Only `okay` is success: Xen once returned +1
/// (XSA-316), and a status that Xen never wrote still holds the poison it was set to (XSA-318).
pub fn check_status(status: GrantStatus, gref: GrantRef) -> Result<(), Error> {
    if status == GrantStatus::OKAY { Ok(()) } else { Err(Error::Refused { status, gref }) }
}

/// Returns the errno for a status: ENOMEM if memory of our own or the maptrack table is exhausted,
/// EINVAL for every other refusal.
pub fn status_errno(status: GrantStatus) -> Errno {
    if status == GrantStatus::NO_SPACE { Errno::ENOMEM } else { Errno::EINVAL }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn only_okay_is_success() {
        for raw in [1, -1, -13, i16::MIN, i16::MAX] {
            assert!(check_status(GrantStatus(raw), GrantRef(9)).is_err(), "{raw}");
        }
        assert_eq!(check_status(GrantStatus::OKAY, GrantRef(9)), Ok(()));
        assert_eq!(status_errno(GrantStatus::NO_SPACE), Errno::ENOMEM);
        assert_eq!(status_errno(GrantStatus(1)), Errno::EINVAL);
    }

    #[test]
    fn a_status_has_its_name_from_xens_header() {
        let names = [
            "okay",
            "general_error",
            "bad_domain",
            "bad_gntref",
            "bad_handle",
            "bad_virt_addr",
            "bad_dev_addr",
            "no_device_space",
            "permission_denied",
            "bad_page",
            "bad_copy_arg",
            "address_too_big",
            "eagain",
            "no_space",
        ];
        for (number, name) in names.into_iter().enumerate() {
            assert_eq!(status_name(GrantStatus(-(number as i16))), name);
        }
        for none in [1, -14, i16::MIN] {
            assert_eq!(status_name(GrantStatus(none)), "unknown");
        }
    }

    #[test]
    fn an_error_says_who_refused_and_why() {
        let refused = Error::Refused { status: GrantStatus::BAD_GNTREF, gref: GrantRef(9) };
        let cases = [
            (Error::NO_MEMORY, "out of memory", Errno::ENOMEM, None),
            (
                refused,
                "Xen refused reference 9: bad_gntref (-3)",
                Errno::EINVAL,
                Some(GrantStatus::BAD_GNTREF),
            ),
            (Error::XenStore(Errno::EACCES), "xenstore refused: EACCES", Errno::EACCES, None),
            (
                Error::Hypercall(Call::EvtchnSend, Errno::EINVAL),
                "hypercall event_channel_op.send failed: EINVAL",
                Errno::EINVAL,
                None,
            ),
            (NotADomId.into(), "a domain's number is below 32752 (0x7ff0)", Errno::EINVAL, None),
        ];
        for (error, words, errno, status) in cases {
            assert_eq!(error.to_string(), words);
            assert_eq!((error.errno(), error.status()), (errno, status));
        }
    }
}
