// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares this crate with Xen's and Linux's C headers, as a C compiler sees them.
//!
//! `table` and `linux` name every struct, field and constant once in Rust and once in C. From them
//! the tests generate a C program that prints the C values, and list all that differ from the Rust
//! values. They need `cc` and the headers of Debian's linux-libc-dev and libxen-dev; `XEN_HEADERS`
//! names another directory that contains `xen/xen.h`. Without them the tests fail: a skipped check
//! checks nothing.

mod compare;
mod linux;
mod source;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const INSTALL: &str = "the comparison with the headers needs: \
                       apt-get install gcc libc6-dev linux-libc-dev libxen-dev \
                       (or XEN_HEADERS=<a directory that contains xen/xen.h>)";

/// The start of the C program.
const PRELUDE: &str = r#"
#if !defined(__x86_64__)
#error "the ABI of this crate is that of x86_64"
#endif
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/elfnote.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/hvm/params.h>
#include <xen/hvm/hvm_op.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/io/console.h>
#include <xen/io/libxenvchan.h>
#include <xen/io/xs_wire.h>

/* Linux's; they lean on names of Xen's. */
#include <xen/evtchn.h>
#include <xen/gntalloc.h>
#include <xen/gntdev.h>

/* Last, because some numbers are only there for Xen itself. */
#define __XEN__
#define XEN_ERRNO(name, value) XEN_##name = value,
enum {
#include <xen/errno.h>
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int xsd_error(const char *name)
{
    for (size_t i = 0; i < COUNT(xsd_errors); i++)
        if (strcmp(xsd_errors[i].errstring, name) == 0)
            return xsd_errors[i].errnum;
    return -1;
}
"#;

/// A value that Rust and C both define.
#[derive(Debug)]
pub struct Row {
    /// The public item: `CONSTANT`, `Type`, `Type::CONSTANT` or `Type.field`.
    item: String,
    /// The C expression.
    c: String,
    /// The Rust value; unsigned 64-bit values wrap, as they do on the C side.
    value: i64,
}

/// Returns the C compiler's value of each row's expression.
fn ask_c(rows: &[Row], program: &str) -> Vec<i64> {
    let headers = env::var_os("XEN_HEADERS").map(PathBuf::from);
    let directory = headers.as_deref().unwrap_or(Path::new("/usr/include"));
    let probe = directory.join("xen/grant_table.h");
    assert!(probe.is_file(), "{} is missing; {INSTALL}", probe.display());

    let mut text = format!("{PRELUDE}\nint main(void)\n{{\n");
    for row in rows {
        text += &format!("    printf(\"%lld\\n\", (long long)({}));\n", row.c);
    }
    text += "    return 0;\n}\n";

    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(program);
    let source = binary.with_extension("c");
    fs::write(&source, text).expect("the temporary directory is writable");

    let mut cc = Command::new("cc");
    if headers.is_some() {
        cc.arg("-I").arg(directory);
    }
    let compiled = cc
        .args(["-std=gnu11", "-O0", "-o"])
        .args([&binary, &source])
        .output()
        .unwrap_or_else(|error| panic!("cc doesn't start ({error}); {INSTALL}"));
    assert!(
        compiled.status.success(),
        "cc refuses {}; if a system header is missing: {INSTALL}\n{}",
        source.display(),
        String::from_utf8_lossy(&compiled.stderr)
    );

    let ran = Command::new(&binary).output().expect("the compiled program starts");
    assert!(ran.status.success(), "{} failed: {}", binary.display(), ran.status);
    String::from_utf8(ran.stdout)
        .expect("digits")
        .lines()
        .map(|line| line.parse().expect("a number per line"))
        .collect()
}

/// Returns a line for each row on which the two sides disagree.
fn differences(rows: &[Row], program: &str) -> Vec<String> {
    let values = ask_c(rows, program);
    assert_eq!(values.len(), rows.len(), "the C program prints one line per row");
    let differs = |(row, c): &(&Row, &i64)| row.value != **c;
    let line =
        |(row, c): (&Row, &i64)| format!("{}: {} here, {c} in C as {}", row.item, row.value, row.c);
    rows.iter().zip(&values).filter(differs).map(line).collect()
}

fn assert_same(rows: &[Row], program: &str) {
    let differences = differences(rows, program);
    assert!(
        differences.is_empty(),
        "{} of {} values differ from the headers:\n{}",
        differences.len(),
        rows.len(),
        differences.join("\n")
    );
}

#[test]
fn every_value_is_the_headers() {
    assert_same(&table::rows(), "values");
}

#[test]
fn every_command_and_every_structure_is_that_of_linux_headers() {
    assert_same(&linux::rows(), "linux");
}

#[test]
fn a_wrong_value_is_reported_with_both_values() {
    let mut rows = table::rows();
    rows.retain(|row| row.item == "GrantStatus::EAGAIN");
    rows[0].value = -11;
    let expected = "GrantStatus::EAGAIN: -11 here, -12 in C as GNTST_eagain";
    assert_eq!(differences(&rows, "wrong"), [expected]);
}

#[test]
fn every_public_item_is_in_the_table() {
    let rows = table::rows().into_iter().chain(linux::rows());
    let compared: std::collections::BTreeSet<_> = rows.map(|row| row.item).collect();
    let public = source::public_items();
    let forgotten: Vec<_> = public.difference(&compared).collect();
    assert!(forgotten.is_empty(), "not compared with the headers: {forgotten:?}");
    let unseen: Vec<_> = compared.difference(&public).collect();
    assert!(unseen.is_empty(), "in the table, but not found in the source: {unseen:?}");
}
