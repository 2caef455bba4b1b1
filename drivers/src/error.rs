//! Why a call of a service failed: the seed's errno, and Xen's status where Xen refused.

use core::fmt;

use xen_sys::grant_table::GrantStatus;

use crate::ids::{status_errno, status_name};
use crate::{Call, Errno, GrantRef};

/// Why a call of a service failed. Nothing changed, unless the call's own text says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Found here, without Xen: the errno, and what is wrong or would be right.
    Local(Errno, &'static str),
    /// Xen refused this reference. The other references of the batch may have other statuses;
    /// the reservation keeps them all.
    Refused {
        /// Xen's answer, negative in every version so far.
        status: GrantStatus,
        /// The first reference it was given for.
        gref: GrantRef,
    },
    /// The hypercall itself failed, with its errno.
    Hypercall(Call, Errno),
    /// Xenstore refused.
    XenStore(Errno),
}

impl Error {
    /// No memory for the tables of a service.
    pub const NO_MEMORY: Error = Error::Local(Errno::ENOMEM, "out of memory");

    /// An address that no mapping of the device has.
    pub const BAD_ADDRESS: Error =
        Error::Local(Errno::EFAULT, "the address is not in a mapping of this device");

    /// The error number for the caller.
    pub fn errno(&self) -> Errno {
        match *self {
            Error::Local(errno, _) | Error::Hypercall(_, errno) | Error::XenStore(errno) => errno,
            Error::Refused { status, .. } => status_errno(status),
        }
    }

    /// Xen's status, where a grant was refused.
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

impl core::error::Error for Error {}
