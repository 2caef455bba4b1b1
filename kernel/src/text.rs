// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes that should be text.

use alloc::string::String;

use drivers::Errno;

/// `bytes` as text that is never freed, with each invalid sequence replaced by U+FFFD.
///
/// # Errors
/// ENOMEM.
pub fn lossy(bytes: &'static [u8]) -> Result<&'static str, Errno> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Ok(text);
    }
    let mut text = String::new();
    // At worst, each byte is replaced by three.
    text.try_reserve_exact(3 * bytes.len()).map_err(|_| Errno::ENOMEM)?;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Ok(text.leak())
}

#[cfg(test)]
mod tests {
    use super::lossy;

    #[test]
    fn text_is_what_it_is() {
        let line: &'static [u8] = "a=b -- \u{e9}".as_bytes();
        assert_eq!(lossy(line).map(str::as_ptr), Ok(line.as_ptr()));
    }

    #[test]
    fn other_bytes_are_replaced_and_never_dropped() {
        assert_eq!(lossy(b"a\xffb\xc3"), Ok("a\u{fffd}b\u{fffd}"));
        assert_eq!(lossy(&[0xff; 341]), Ok("\u{fffd}".repeat(341).as_str()));
    }
}
