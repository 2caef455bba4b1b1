// SPDX-License-Identifier: MIT OR Apache-2.0
//! `xen/evtchn.h`: commands of `/dev/xen/evtchn`. Those that bind a port return its number.

use super::ioc;

/// Binds a new port to another domain's. Takes an [`IoctlEvtchnBindInterdomain`].
pub const IOCTL_EVTCHN_BIND_INTERDOMAIN: u32 =
    ioc(b'E', 1, size_of::<IoctlEvtchnBindInterdomain>());
/// Allocates a port that another domain may bind. Takes an [`IoctlEvtchnBindUnboundPort`].
pub const IOCTL_EVTCHN_BIND_UNBOUND_PORT: u32 =
    ioc(b'E', 2, size_of::<IoctlEvtchnBindUnboundPort>());
/// Sends an event through a port. Takes an [`IoctlEvtchnNotify`].
pub const IOCTL_EVTCHN_NOTIFY: u32 = ioc(b'E', 4, size_of::<IoctlEvtchnNotify>());

/// Argument of [`IOCTL_EVTCHN_BIND_INTERDOMAIN`].
#[doc(alias = "ioctl_evtchn_bind_interdomain")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlEvtchnBindInterdomain {
    /// In: the other domain's domid.
    pub remote_domain: u32,
    /// In: its port.
    pub remote_port: u32,
}
layout!(IoctlEvtchnBindInterdomain: 8 { remote_domain: 0, remote_port: 4 });

/// Argument of [`IOCTL_EVTCHN_BIND_UNBOUND_PORT`].
#[doc(alias = "ioctl_evtchn_bind_unbound_port")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlEvtchnBindUnboundPort {
    /// In: the domid of the domain that may bind the port.
    pub remote_domain: u32,
}
layout!(IoctlEvtchnBindUnboundPort: 4 { remote_domain: 0 });

/// Argument of [`IOCTL_EVTCHN_NOTIFY`].
#[doc(alias = "ioctl_evtchn_notify")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoctlEvtchnNotify {
    /// In: the local port.
    pub port: u32,
}
layout!(IoctlEvtchnNotify: 4 { port: 0 });
