// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text inside HTML and XML.

/// Escapes the characters of `text` that have a meaning there.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_escaped_once() {
        assert_eq!(escaped("a < \"b\" & c > d"), "a &lt; &quot;b&quot; &amp; c &gt; d");
    }
}
