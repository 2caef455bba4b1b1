// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands of `/dev/xen/*` that a channel needs.
//!
//! Each returns Linux's errno, with words that name the device.
#![expect(unsafe_code, reason = "ioctl")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use drivers::{DomId, Errno, Error, GrantRef, PortNumber};
use nix::libc;
use xen_sys::event_channel::{EvtchnOp, EvtchnState, EvtchnStatus};
use xen_sys::linux::evtchn::{
    IOCTL_EVTCHN_BIND_INTERDOMAIN, IOCTL_EVTCHN_BIND_UNBOUND_PORT, IOCTL_EVTCHN_NOTIFY,
    IoctlEvtchnBindInterdomain, IoctlEvtchnBindUnboundPort, IoctlEvtchnNotify,
};
use xen_sys::linux::gntalloc::{GntallocFlag, IOCTL_GNTALLOC_ALLOC_GREF};
use xen_sys::linux::gntdev::{
    IOCTL_GNTDEV_MAP_GRANT_REF, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, IoctlGntdevGrantRef,
    IoctlGntdevUnmapNotify, UnmapNotifyAction,
};
use xen_sys::xen::{DOMID_SELF, Hypercall};

/// The most pages of one call: those of the largest ring.
const MAX: usize = 256;

/// `struct ioctl_gntalloc_alloc_gref` with room for `MAX` references.
#[repr(C)]
struct AllocGref {
    domid: u16,
    flags: GntallocFlag,
    count: u32,
    index: u64,
    refs: [u32; MAX],
}

/// `struct ioctl_gntdev_map_grant_ref` with room for `MAX` grants.
#[repr(C)]
struct MapGrantRef {
    count: u32,
    pad: u32,
    index: u64,
    refs: [IoctlGntdevGrantRef; MAX],
}

/// `struct privcmd_hypercall` of `xen/privcmd.h`.
#[repr(C)]
struct PrivcmdHypercall {
    op: u64,
    arg: [u64; 5],
}

/// `IOCTL_PRIVCMD_HYPERCALL` of `xen/privcmd.h`: `_IOC(_IOC_NONE, 'P', 0, size)`.
const IOCTL_PRIVCMD_HYPERCALL: u32 =
    (size_of::<PrivcmdHypercall>() as u32) << 16 | (b'P' as u32) << 8;

/// The device of event channels.
pub(crate) fn evtchn() -> Result<File, Error> {
    open(&"/dev/xen/evtchn")
}

/// The device for hypercalls, which not every program may open.
pub(crate) fn privcmd() -> Option<File> {
    open(&"/dev/xen/privcmd").ok()
}

/// Opens a device. Reading from it never blocks.
pub(crate) fn open(path: &'static &'static str) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
    options.open(path).map_err(|error| Error::Local(errno(&error), path))
}

/// The number of an error of the system's.
pub(crate) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().and_then(|raw| raw.try_into().ok()).map_or(Errno::EIO, Errno)
}

/// The last system call's error.
pub(crate) fn failed(words: &'static &'static str) -> Error {
    Error::Local(errno(&io::Error::last_os_error()), words)
}

/// Makes a call whose argument is, or begins with, the command's struct.
fn call<T>(
    file: &File,
    command: u32,
    argument: &mut T,
    words: &'static &'static str,
) -> Result<u32, Error> {
    debug_assert!(size_of::<T>() >= (command >> 16) as usize, "the argument is too short");
    // SAFETY: Linux reads and writes nothing beyond the command's struct, and the references that
    // follow it, which the two structs above have room for. A privcmd call is made by `status`
    // alone, whose hypercall writes one struct that outlives the call.
    let returned = unsafe { libc::ioctl(file.as_raw_fd(), command.into(), &raw mut *argument) };
    u32::try_from(returned).map_err(|_| failed(words))
}

/// Allocates and grants pages; returns their index and references.
pub(crate) fn alloc(file: &File, peer: DomId, pages: u32) -> Result<(u64, Vec<GrantRef>), Error> {
    let (domid, flags) = (peer.get(), GntallocFlag::WRITABLE);
    let mut argument = AllocGref { domid, flags, count: pages, index: 0, refs: [0; MAX] };
    within(pages as usize)?;
    call(file, IOCTL_GNTALLOC_ALLOC_GREF, &mut argument, &"gntalloc grants no pages")?;
    let refs = argument.refs.iter().take(pages as usize);
    Ok((argument.index, refs.map(|gref| GrantRef(*gref)).collect()))
}

/// Reserves an index for grants to map, and returns it.
pub(crate) fn reserve(file: &File, peer: DomId, refs: &[GrantRef]) -> Result<u64, Error> {
    within(refs.len())?;
    let none = IoctlGntdevGrantRef::default();
    let mut argument =
        MapGrantRef { count: refs.len() as u32, pad: 0, index: 0, refs: [none; MAX] };
    for (place, gref) in argument.refs.iter_mut().zip(refs) {
        *place = IoctlGntdevGrantRef { domid: peer.get().into(), ref_: gref.0 };
    }
    call(file, IOCTL_GNTDEV_MAP_GRANT_REF, &mut argument, &"gntdev takes no grants")?;
    Ok(argument.index)
}

fn within(pages: usize) -> Result<(), Error> {
    let valid = (1..=MAX).contains(&pages);
    valid.then_some(()).ok_or(Error::Local(Errno::EINVAL, &"1 to 256 pages at once"))
}

/// When the page of this byte is released, clears the byte and sends an event. Both grant devices
/// have the same command.
pub(crate) fn on_end(file: &File, index: u64, port: PortNumber) -> Result<(), Error> {
    let action = UnmapNotifyAction::CLEAR_BYTE | UnmapNotifyAction::SEND_EVENT;
    let mut argument = IoctlGntdevUnmapNotify { index, action, event_channel_port: port.0 };
    let words = &"the grant device takes no notification";
    call(file, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &mut argument, words).map(drop)
}

/// Opens a port that `peer` may bind.
pub(crate) fn offer(file: &File, peer: DomId) -> Result<PortNumber, Error> {
    let mut argument = IoctlEvtchnBindUnboundPort { remote_domain: peer.get().into() };
    let words = &"evtchn has no port to offer";
    call(file, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &mut argument, words).map(PortNumber)
}

/// Binds a port that `peer` offers.
pub(crate) fn bind(file: &File, peer: DomId, port: PortNumber) -> Result<PortNumber, Error> {
    let mut argument =
        IoctlEvtchnBindInterdomain { remote_domain: peer.get().into(), remote_port: port.0 };
    let words = &"the peer's port can't be bound";
    call(file, IOCTL_EVTCHN_BIND_INTERDOMAIN, &mut argument, words).map(PortNumber)
}

/// Sends an event.
pub(crate) fn notify(file: &File, port: PortNumber) -> Result<(), Error> {
    let mut argument = IoctlEvtchnNotify { port: port.0 };
    call(file, IOCTL_EVTCHN_NOTIFY, &mut argument, &"evtchn sends no event").map(drop)
}

/// Whether Xen has this port bound to `peer`.
pub(crate) fn is_bound(privcmd: &File, port: PortNumber, peer: DomId) -> Result<bool, Error> {
    let status = status(privcmd, port)?;
    Ok(status.status == EvtchnState::INTERDOMAIN && status.u_dom == peer.get())
}

/// Whether Xen has this domain: if not, binding any of its ports is ESRCH. Its port 0 is reserved,
/// so it is never bound. That takes no privilege, unlike a hypercall through privcmd.
pub(crate) fn domain_exists(evtchn: &File, domid: DomId) -> bool {
    let bound = bind(evtchn, domid, PortNumber(0));
    bound.map_err(|error| error.errno()) != Err(Errno::ESRCH)
}

/// The state of one of our ports.
fn status(privcmd: &File, port: PortNumber) -> Result<EvtchnStatus, Error> {
    let mut status = EvtchnStatus { dom: DOMID_SELF, port: port.0, ..Default::default() };
    let at = (&raw mut status).expose_provenance() as u64;
    let arg = [EvtchnOp::STATUS.0.into(), at, 0, 0, 0];
    let mut argument = PrivcmdHypercall { op: Hypercall::EVENT_CHANNEL_OP.0, arg };
    call(privcmd, IOCTL_PRIVCMD_HYPERCALL, &mut argument, &"Xen doesn't tell a port's state")?;
    // SAFETY: `status` is alive. Linux wrote it through the address that `argument` held, so the
    // compiler must not assume its old value.
    Ok(unsafe { (&raw const status).read_volatile() })
}
