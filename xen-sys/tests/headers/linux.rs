// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of Linux's headers.

use crate::Row;
use crate::compare::{compare_constants, compare_family, compare_struct};
use xen_sys::linux::{evtchn::*, gntalloc::*, gntdev::*, mman::*};

/// Returns all rows.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    mman(&mut rows);
    gntdev(&mut rows);
    gntalloc(&mut rows);
    evtchn(&mut rows);
    rows
}

fn mman(rows: &mut Vec<Row>) {
    compare_constants!(rows, { PROT_READ, PROT_WRITE, MAP_SHARED, MAP_PRIVATE });
}

fn gntdev(rows: &mut Vec<Row>) {
    compare_constants!(rows, {
        IOCTL_GNTDEV_MAP_GRANT_REF, IOCTL_GNTDEV_UNMAP_GRANT_REF,
        IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, IOCTL_GNTDEV_SET_MAX_GRANTS,
        IOCTL_GNTDEV_SET_UNMAP_NOTIFY, IOCTL_GNTDEV_GRANT_COPY, IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS,
        IOCTL_GNTDEV_DMABUF_EXP_WAIT_RELEASED, IOCTL_GNTDEV_DMABUF_IMP_TO_REFS,
        IOCTL_GNTDEV_DMABUF_IMP_RELEASE,
    });
    compare_family!(rows, flags UnmapNotifyAction = Upper "UNMAP_NOTIFY_" {
        CLEAR_BYTE, SEND_EVENT,
    });
    compare_struct!(rows, IoctlGntdevGrantRef = "struct ioctl_gntdev_grant_ref" {
        domid, ref_ = "ref",
    });
    compare_struct!(rows, IoctlGntdevMapGrantRef = "struct ioctl_gntdev_map_grant_ref" {
        count, pad, index, refs,
    });
    compare_struct!(rows, IoctlGntdevUnmapGrantRef = "struct ioctl_gntdev_unmap_grant_ref" {
        index, count, pad,
    });
    compare_struct!(rows, IoctlGntdevGetOffsetForVaddr =
        "struct ioctl_gntdev_get_offset_for_vaddr" { vaddr, offset, count, pad });
    compare_struct!(rows, IoctlGntdevSetMaxGrants = "struct ioctl_gntdev_set_max_grants" { count });
    compare_struct!(rows, IoctlGntdevUnmapNotify = "struct ioctl_gntdev_unmap_notify" {
        index, action, event_channel_port,
    });
    // The header gives this struct no name.
    compare_struct!(rows, GntdevGrantCopyForeign =
        "__typeof__(((struct gntdev_grant_copy_segment *)0)->source.foreign)" {
        ref_ = "ref", offset, domid,
    });
    compare_struct!(rows, GntdevGrantCopySegment = "struct gntdev_grant_copy_segment" {
        source, dest, len, flags, status,
    });
    compare_struct!(rows, IoctlGntdevGrantCopy = "struct ioctl_gntdev_grant_copy" {
        count, segments,
    });
}

fn gntalloc(rows: &mut Vec<Row>) {
    compare_constants!(rows, {
        IOCTL_GNTALLOC_ALLOC_GREF, IOCTL_GNTALLOC_DEALLOC_GREF, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY,
    });
    compare_family!(rows, flags GntallocFlag = Upper "GNTALLOC_FLAG_" { WRITABLE });
    compare_struct!(rows, IoctlGntallocAllocGref = "struct ioctl_gntalloc_alloc_gref" {
        domid, flags, count, index, gref_ids,
    });
    compare_struct!(rows, IoctlGntallocDeallocGref = "struct ioctl_gntalloc_dealloc_gref" {
        index, count,
    });
    compare_struct!(rows, IoctlGntallocUnmapNotify = "struct ioctl_gntalloc_unmap_notify" {
        index, action, event_channel_port,
    });
}

fn evtchn(rows: &mut Vec<Row>) {
    compare_constants!(rows, {
        IOCTL_EVTCHN_BIND_INTERDOMAIN, IOCTL_EVTCHN_BIND_UNBOUND_PORT, IOCTL_EVTCHN_NOTIFY,
    });
    compare_struct!(rows, IoctlEvtchnNotify = "struct ioctl_evtchn_notify" { port });
    compare_struct!(rows, IoctlEvtchnBindInterdomain = "struct ioctl_evtchn_bind_interdomain" {
        remote_domain, remote_port,
    });
    compare_struct!(rows, IoctlEvtchnBindUnboundPort = "struct ioctl_evtchn_bind_unbound_port" {
        remote_domain,
    });
}
