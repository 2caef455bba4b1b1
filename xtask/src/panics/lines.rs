// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds the source line of an instruction from the line tables, with binutils' addr2line.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::host::cargo::BUILD_LIMIT;
use crate::host::{children, steps};

/// A file and a line number, 0 if the compiler gives none.
pub type Line = (String, u32);

/// For each address its line, then the line it was inlined into, and so on.
pub fn chains(elf: &Path, addresses: &[u64]) -> Result<Vec<Vec<Line>>> {
    let mut command = children::command("addr2line");
    command.args(["--addresses", "--inlines", "--exe"]).arg(elf);
    command.args(addresses.iter().map(|address| format!("{address:#x}")));
    let chains = parse(&steps::logged("addr2line", command, BUILD_LIMIT)?);
    ensure!(chains.len() == addresses.len(), "addr2line does not answer each address");
    Ok(chains)
}

/// Parses addr2line's output: each address on a line of its own, followed by its `file:line`,
/// innermost first.
fn parse(said: &str) -> Vec<Vec<Line>> {
    let mut chains: Vec<Vec<Line>> = Vec::new();
    for line in said.lines() {
        match chains.last_mut() {
            _ if line.starts_with("0x") => chains.push(Vec::new()),
            Some(chain) => {
                let (file, rest) = line.rsplit_once(':').unwrap_or((line, "?"));
                // A discriminator may follow.
                let number = rest.split(' ').next().and_then(|number| number.parse().ok());
                chain.push((file.to_owned(), number.unwrap_or(0)));
            }
            None => {}
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_begins_at_each_address() {
        let said = "0xffffffff80001000\n/rustc/1/alloc.rs:20\ndrivers/src/a.rs:7 (discriminator 2)\n\
                    0xffffffff80001004\n??:?\n0xffffffff80001008\nb.rs:?\n";
        let line = |file: &str, line| (file.to_owned(), line);
        let first = vec![line("/rustc/1/alloc.rs", 20), line("drivers/src/a.rs", 7)];
        assert_eq!(parse(said), [first, vec![line("??", 0)], vec![line("b.rs", 0)]]);
    }
}
