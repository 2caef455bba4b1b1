// SPDX-License-Identifier: MIT OR Apache-2.0
//! Puts the linker script on the link search path, so that `-Tgrantkit.ld` needs no path, and
//! refuses to build a kernel without the flags that Cargo can't pass on from this crate to a
//! program.

mod flags;

use std::path::PathBuf;
use std::{env, fs, process};

fn main() {
    println!("cargo:rerun-if-changed=grantkit.ld");
    println!("cargo:rerun-if-changed=build");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(folder.join("grantkit.ld"), include_bytes!("../grantkit.ld"))
        .expect("a file in OUT_DIR");
    println!("cargo:rustc-link-search={}", folder.display());

    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let given = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let target = env::var("TARGET").expect("cargo sets it");
    if let Some(complaint) = flags::complaint(&target, &given) {
        eprintln!("{complaint}");
        process::exit(1);
    }
}
