//! Puts the linker script on the link search path, so that `-Tgrantkit.ld` needs no path.

use std::{env, fs, path::PathBuf};

fn main() {
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(folder.join("grantkit.ld"), include_bytes!("grantkit.ld"))
        .expect("a file in OUT_DIR");
    println!("cargo:rustc-link-search={}", folder.display());
    println!("cargo:rerun-if-changed=grantkit.ld");
}
