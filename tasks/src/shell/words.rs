// SPDX-License-Identifier: MIT OR Apache-2.0
//! Splits a line into words, and parses numbers, decimal or 0x-hex.

/// What separates words.
pub(crate) const BLANKS: [char; 2] = [' ', '\t'];

/// The first word, possibly empty, and the rest after one blank.
pub fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(BLANKS);
    text.split_once(BLANKS).unwrap_or((text, ""))
}

/// A number, decimal or hexadecimal after `0x`; `None` for anything else.
pub fn number(word: &str) -> Option<u64> {
    let (digits, radix) = match word.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None => (word, 10),
    };
    // `from_str_radix` would accept a sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hex_and_nothing_else() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("0042"), Some(42));
        assert_eq!(number("0xfF"), Some(255));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
        assert_eq!(number("0xffffffffffffffff"), Some(u64::MAX));
        let wrong = [
            "",
            "-1",
            "+1",
            "0x",
            "0x+1",
            "0X1",
            "1_0",
            "abc",
            "1a",
            "18446744073709551616",
            "0x10000000000000000",
            "1.0",
            " 1",
        ];
        for word in wrong {
            assert_eq!(number(word), None, "{word:?}");
        }
    }

    #[test]
    fn words_are_what_stands_between_blanks() {
        assert_eq!(first_word("  share\t0  4 "), ("share", "0  4 "));
        assert_eq!(first_word("write 1  a "), ("write", "1  a "));
        assert_eq!(first_word("  "), ("", ""));
    }
}
