// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks that a PVH guest that is given impossible data stops cleanly, with one line.
//!
//! A stub before the entry point plays a faulty domain builder, or takes a ring's port away from
//! the guest, which Xen allows. A missing hypercall can only be tested on FakeXen.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::guests::config::Settings;
use crate::guests::life::{GUEST, PLAIN, clear, gone};
use crate::guests::stub;
use crate::judge::tally::Tally;
use crate::lab::Lab;

/// A fault: its name, the stub's code, and what the guest must print after its own name.
struct Err {
    name: &'static str,
    code: &'static [u8],
    words: &'static str,
}

const ERRS: [Err; 7] = [
    Err {
        name: "another magic",
        code: &[0xc7, 0x03, b'x', b'e', b'n', b'!'], // mov dword [ebx], "xen!"
        words: "start_info: its magic is 0x216e6578",
    },
    Err {
        name: "a start_info that is nowhere",
        code: &[0xbb, 0x00, 0xb0, 0xad, 0xde], // mov ebx, 0xdeadb000
        words: "start_info: start_info at 0xdeadb000, not in memory",
    },
    Err {
        name: "a version without a memory map",
        code: &[0xc7, 0x43, 0x04, 0, 0, 0, 0], // mov dword [ebx + 4], 0
        words: "start_info: no memory map",
    },
    Err {
        name: "a memory map without an end",
        code: &[0xc7, 0x43, 0x30, 0xff, 0xff, 0xff, 0xff], // mov dword [ebx + 48], -1
        words: "start_info: a memory map of 4294967295 entries",
    },
    Err {
        name: "memory that ends in the image",
        // mov eax, [ebx + 40]; mov dword [eax + 8], 4096
        code: &[0x8b, 0x43, 0x28, 0xc7, 0x40, 0x08, 0x00, 0x10, 0, 0],
        words: "start_info: 0x1000 bytes of memory at address 0",
    },
    Err { name: "no xenstore", code: &without(2), words: "xenstore: ENODEV" },
    Err { name: "no console", code: &without(18), words: "console: ENODEV" },
];

/// Code that sets this domain's parameter `param`, a port, to 0 with HVMOP_set_param. The argument
/// structure is at 2 MiB.
const fn without(param: u8) -> [u8; 39] {
    [
        0xc7, 0x05, 0x00, 0x00, 0x20, 0x00, 0xf0, 0x7f, 0, 0, // mov dword [2 MiB], DOMID_SELF
        0xc7, 0x05, 0x04, 0x00, 0x20, 0x00, param, 0, 0, 0, // mov dword [2 MiB + 4], param
        0x89, 0xde, // mov esi, ebx
        0xb8, 34, 0, 0, 0, // mov eax, HYPERVISOR_hvm_op
        0x31, 0xdb, // xor ebx, ebx: HVMOP_set_param
        0xb9, 0x00, 0x00, 0x20, 0x00, // mov ecx, 2 MiB
        0x0f, 0x01, 0xd9, // vmmcall
        0x89, 0xf3, // mov ebx, esi
    ]
}

/// Writes the image with each of the stubs, and returns the files.
pub fn files() -> Result<Vec<PathBuf>> {
    ERRS.iter().enumerate().map(|(at, err)| stub::image(&file(at), err.code)).collect()
}

fn file(at: usize) -> String {
    format!("grantkit-errs-{at}")
}

/// Checks that each stops with its line.
pub fn check(lab: &mut Lab, tally: &mut Tally) -> Result<()> {
    for (at, err) in ERRS.iter().enumerate() {
        tally.check(lab, err.name, |lab| stops(lab, &file(at), err.words))?;
        clear(lab)?;
    }
    Ok(())
}

fn stops(lab: &mut Lab, kernel: &str, words: &str) -> Result<()> {
    let mark = lab.xen_log()?.len();
    let (config, settings) = (format!("{PLAIN}.cfg"), Settings::of(lab.mode()));
    let settings = settings.text("name", GUEST).text("kernel", kernel);
    let command: Vec<&str> = ["create", &config].into_iter().chain(settings.words()).collect();
    lab.xl(&command)?;
    gone(lab, GUEST)?;
    ensure!(!lab.crashed(GUEST), "it crashed");
    // Without a console the line goes to Xen's log instead.
    let log = String::from_utf8_lossy(&lab.xen_log()?[mark..]).into_owned();
    let lines = lab.lines(GUEST);
    let said = lines.iter().map(String::as_str).chain(log.lines());
    let said: Vec<&str> = said.filter(|line| line.contains("grantkit")).map(str::trim).collect();
    let line = format!("grantkit: {words}");
    ensure!(said.len() == 1 && said[0].ends_with(&line), "it said {said:?}, not `{line}`");
    Ok(())
}
