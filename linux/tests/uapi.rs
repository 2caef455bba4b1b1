//! Compares the ioctl face with Linux's headers, as a C compiler sees them.
//!
//! Needs `cc` and the headers of linux-libc-dev. Without them the test fails: a check that is
//! skipped checks nothing.
#![cfg(not(miri))]

use std::fmt::Write;
use std::mem::{offset_of, size_of};
use std::path::Path;
use std::process::Command;

use drivers::notify;
use linux::ioctl;
use linux::ioctl::abi::{self, *};

/// A C expression and our value of it.
fn rows() -> Vec<(String, i64)> {
    let mut rows = Vec::new();
    let mut row = |c: &str, value: usize| rows.push((c.to_owned(), value as i64));
    macro_rules! structure {
        ($c:literal, $rust:ident: $($field:ident = $c_field:literal),*) => {
            row(concat!("sizeof(", $c, ")"), size_of::<$rust>());
            $(row(concat!("offsetof(", $c, ", ", $c_field, ")"), offset_of!($rust, $field));)*
        };
    }
    structure!("struct ioctl_gntdev_grant_ref", GrantRefEntry: domid = "domid", gref = "ref");
    structure!("struct ioctl_gntdev_map_grant_ref", MapGrantRef:
        count = "count", index = "index", refs = "refs");
    structure!("struct ioctl_gntdev_unmap_grant_ref", UnmapGrantRef:
        index = "index", count = "count");
    structure!("struct ioctl_gntdev_get_offset_for_vaddr", GetOffsetForVaddr:
        vaddr = "vaddr", offset = "offset", count = "count");
    structure!("struct ioctl_gntdev_set_max_grants", SetMaxGrants: count = "count");
    structure!("struct ioctl_gntdev_unmap_notify", UnmapNotifyArg:
        index = "index", action = "action", event_channel_port = "event_channel_port");
    structure!("struct ioctl_gntalloc_unmap_notify", UnmapNotifyArg:
        index = "index", action = "action", event_channel_port = "event_channel_port");
    structure!("struct ioctl_gntdev_grant_copy", GrantCopy:
        count = "count", segments = "segments");
    structure!("struct gntdev_grant_copy_segment", GrantCopySegment:
        source = "source", dest = "dest", len = "len", flags = "flags", status = "status");
    structure!("((struct gntdev_grant_copy_segment *)0)->source.foreign", ForeignEnd:);
    structure!("struct ioctl_gntalloc_alloc_gref", AllocGref:
        domid = "domid", flags = "flags", count = "count", index = "index",
        gref_ids = "gref_ids");
    structure!("struct ioctl_gntalloc_dealloc_gref", DeallocGref:
        index = "index", count = "count");
    let foreign =
        |field| format!("offsetof(struct gntdev_grant_copy_segment, source.foreign.{field})");
    row(&foreign("ref"), offset_of!(ForeignEnd, gref));
    row(&foreign("offset"), offset_of!(ForeignEnd, offset));
    row(&foreign("domid"), offset_of!(ForeignEnd, domid));
    for (c, value) in [
        ("IOCTL_GNTDEV_MAP_GRANT_REF", abi::MAP_GRANT_REF),
        ("IOCTL_GNTDEV_UNMAP_GRANT_REF", abi::UNMAP_GRANT_REF),
        ("IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR", abi::GET_OFFSET_FOR_VADDR),
        ("IOCTL_GNTDEV_SET_MAX_GRANTS", abi::SET_MAX_GRANTS),
        ("IOCTL_GNTDEV_SET_UNMAP_NOTIFY", abi::SET_UNMAP_NOTIFY),
        ("IOCTL_GNTDEV_GRANT_COPY", abi::GRANT_COPY),
        ("IOCTL_GNTALLOC_ALLOC_GREF", abi::ALLOC_GREF),
        ("IOCTL_GNTALLOC_DEALLOC_GREF", abi::DEALLOC_GREF),
        ("IOCTL_GNTALLOC_SET_UNMAP_NOTIFY", abi::SET_UNMAP_NOTIFY),
        ("UNMAP_NOTIFY_CLEAR_BYTE", notify::CLEAR_BYTE),
        ("UNMAP_NOTIFY_SEND_EVENT", notify::SEND_EVENT),
        ("GNTALLOC_FLAG_WRITABLE", drivers::gntalloc::FLAG_WRITABLE.into()),
        ("PROT_READ", ioctl::PROT_READ),
        ("PROT_WRITE", ioctl::PROT_WRITE),
        ("MAP_SHARED", ioctl::MAP_SHARED),
    ] {
        row(c, value as usize);
    }
    rows
}

#[test]
fn every_command_and_every_structure_is_that_of_linux_headers() {
    let rows = rows();
    // The headers of Xen that these two lean on are the library's; two names of theirs are enough.
    let mut program = String::from(
        "#include <stddef.h>\n#include <stdio.h>\n#include <stdint.h>\n#include <sys/ioctl.h>\n\
         #include <sys/mman.h>\ntypedef uint32_t grant_ref_t;\ntypedef uint16_t domid_t;\n\
         #include <xen/gntdev.h>\n#include <xen/gntalloc.h>\nint main(void)\n{\n",
    );
    for (c, _) in &rows {
        writeln!(program, "    printf(\"%lld\\n\", (long long)({c}));").unwrap();
    }
    program += "    return 0;\n}\n";
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("uapi");
    let source = binary.with_extension("c");
    std::fs::write(&source, program).unwrap();
    let needs = "the comparison with Linux's headers needs: apt-get install gcc linux-libc-dev";
    let compiled =
        Command::new("cc").args(["-o".as_ref(), binary.as_os_str()]).arg(&source).output();
    let compiled = compiled.unwrap_or_else(|error| panic!("cc doesn't start ({error}); {needs}"));
    let complaint = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "cc refuses it; {needs}\n{complaint}");
    let printed = Command::new(&binary).output().expect("the compiled program starts").stdout;
    let values: Vec<i64> =
        String::from_utf8(printed).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(values.len(), rows.len());
    for ((c, ours), theirs) in rows.iter().zip(values) {
        assert_eq!(*ours, theirs, "{c}");
    }
}
