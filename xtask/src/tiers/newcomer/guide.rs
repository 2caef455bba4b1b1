// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two guests of docs/guide.md, made with the commands and programs that are printed there.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{Home, says};
use crate::host::paths;

/// Makes both crates, with the guide's programs and its test of both.
pub(super) fn make(home: &Home) -> Result<()> {
    let guide = fs::read_to_string(paths::root().join("docs/guide.md")).context("no guide")?;
    for guest in ["vault", "reader"] {
        home.run_sh(&["new", guest])?;
    }
    home.cargo("reader", &["add", "--path", "../vault"])?;
    fs::remove_file(home.0.join("vault/tests/greeting.rs"))?;
    let programs = programs(&guide);
    ensure!(programs.len() == 5, "the guide has {} programs", programs.len());
    for (path, program) in programs {
        let file = home.0.join(path);
        ensure!(file.exists(), "the template has no {path}");
        fs::write(file, program)?;
    }
    Ok(())
}

/// Runs its test on the host.
pub(super) fn host_test(home: &Home) -> Result<()> {
    says(&home.cargo("reader", &["host-test"])?, "test result: ok. 1 passed; 0 failed")
}

/// Boots both on Xen, in this order.
pub(super) fn boot(home: &Home, order: [&str; 2]) -> Result<()> {
    let said = home.run_sh(&["run", order[0], "+", order[1]])?;
    says(&said, "vault  | the reader has read 22 bytes")?;
    says(&said, "reader | the note says: the cake is in the tin")
}

/// Returns each program that follows its path: a line with nothing but the path in backquotes.
fn programs(guide: &str) -> Vec<(&str, &str)> {
    let blocks = guide.split("\n```rust").zip(guide.split("\n```rust").skip(1));
    let programs = blocks.filter_map(|(before, block)| {
        let path = before.trim_end().rsplit('\n').next()?;
        let path = path.strip_prefix('`')?.strip_suffix('`')?;
        let (_, lines) = block.split_once('\n')?;
        Some((path, lines.split_once("```")?.0))
    });
    programs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_the_block_after_its_path() {
        let guide = "# A\n\n`a/src/lib.rs`\n\n```rust,ignore\nfn a() {}\n```\n\nand so\n\n```rust\n\
                     fn b() {}\n```\n\n`c.rs`\n```rust\nfn c() {}\n```\n";
        assert_eq!(programs(guide), [("a/src/lib.rs", "fn a() {}\n"), ("c.rs", "fn c() {}\n")]);
    }
}
