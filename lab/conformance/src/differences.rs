// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where Linux and Grantkit differ, line by line, and why.
//!
//! Each line of `differences.txt` is about one line of a transcript: `<scenario> <step> | <Linux's
//! result> | <row>`, where the row names a marked row of docs/contract.md. It doesn't say what
//! Grantkit does: that is in the golden file of its tests.

use alloc::vec::Vec;

/// An expected difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    /// Scenario and step.
    pub line: &'a str,
    /// What follows `->` on Linux. Where Linux's versions differ, all results, separated by `/`.
    pub linux: &'a str,
    /// The contract's row.
    pub row: &'a str,
}

impl Difference<'_> {
    /// Whether Linux may give this result.
    pub fn allows(&self, result: &str) -> bool {
        self.linux.split('/').any(|one| one == result)
    }
}

/// Returns all expected differences.
pub fn expected() -> Vec<Difference<'static>> {
    read(include_str!("differences.txt"))
}

/// Parses a list. Skips comments and other lines that are not differences.
pub fn read(list: &str) -> Vec<Difference<'_>> {
    let difference = |line| {
        let mut fields = str::split(line, " | ").map(str::trim);
        let (line, linux, row) = (fields.next()?, fields.next()?, fields.next()?);
        (!line.starts_with('#')).then_some(Difference { line, linux, row })
    };
    list.lines().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_three_fields() {
        let list = "# a | comment | here\n\nmap-none 2 | EINVAL | map: none\nbroken 3 | EINVAL\n";
        let one = Difference { line: "map-none 2", linux: "EINVAL", row: "map: none" };
        assert_eq!(read(list), [one]);
    }

    #[test]
    fn versions_of_linux_may_differ_among_themselves() {
        let one = Difference { line: "a 2", linux: "ENOSPC/ENOMEM", row: "a" };
        assert!(one.allows("ENOMEM") && one.allows("ENOSPC"));
        assert!(!one.allows("ENOSPC/ENOMEM") && !one.allows("ENO"));
    }
}
