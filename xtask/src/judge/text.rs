// SPDX-License-Identifier: MIT OR Apache-2.0
//! Console text for tests.

/// The lines of a text.
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
