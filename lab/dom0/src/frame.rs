// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames: what travels on the serial line between the lab's dom0 and whoever drives it.
//!
//! A frame is one line, `<channel> <bytes>`: the channel has no blank, and of the bytes those that
//! are no printable ASCII character, and the backslash, are written `\xx` in hexadecimal. A damaged
//! line is no frame at all.
//!
//! | to dom0 | |
//! |---|---|
//! | `run.<id>` | run a program; the words are separated by NUL |
//! | `feed.<id>` | hand these bytes to the program's input; none: close it |
//! | `kill.<id>` | end the program with SIGKILL |
//! | `type.<guest>` | type these bytes on the guest's console |
//! | `domid.<guest>` | ask for its domain number |
//! | `node.<path>` | ask for the value of a xenstore node, as soon as there is one |
//!
//! | from dom0 | |
//! |---|---|
//! | `ready` | dom0 is up; the words are the versions of Xen and Linux |
//! | `console.<guest>` | the guest wrote this on its console |
//! | `log.<name>` | a daemon wrote this to its log |
//! | `out.<id>`, `done.<id>` | a program wrote this; it ended with this status |
//! | `domid.<guest>` | its number, or nothing if there is no such guest |
//! | `node.<path>` | the node's value |
//! | `trouble` | what the agent could not do |

use std::fmt::Write;

/// One frame as a line, with its line end.
pub fn encode(channel: &str, bytes: &[u8]) -> String {
    let mut line = format!("{channel} ");
    for &byte in bytes {
        match byte {
            b'\\' => line.push_str("\\5c"),
            b' '..=b'~' => line.push(char::from(byte)),
            _ => drop(write!(line, "\\{byte:02x}")),
        }
    }
    line.push('\n');
    line
}

/// The channel and the bytes of a line; `None` if it is no whole frame.
pub fn decode(line: &[u8]) -> Option<(&str, Vec<u8>)> {
    let line = str::from_utf8(line.strip_suffix(b"\n").unwrap_or(line)).ok()?;
    let (channel, text) = line.split_once(' ')?;
    if channel.is_empty() {
        return None;
    }
    let mut pieces = text.split('\\');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, plain) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(plain.as_bytes());
    }
    Some((channel, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives() {
        let all: Vec<u8> = (0..=255).collect();
        let line = encode("console.a", &all);
        assert_eq!(line.lines().count(), 1);
        assert!(line.is_ascii());
        assert_eq!(decode(line.as_bytes()), Some(("console.a", all)));
    }

    #[test]
    fn nothing_is_something_to_say() {
        assert_eq!(encode("domid.b", b""), "domid.b \n");
        assert_eq!(decode(b"domid.b \n"), Some(("domid.b", vec![])));
    }

    #[test]
    fn a_damaged_line_is_no_frame() {
        for line in ["", "x", " x", "x \\", "x \\0", "x \\zz", "x \\+1"] {
            assert_eq!(decode(line.as_bytes()), None, "{line}");
        }
        assert_eq!(decode(b"x \xff"), None);
    }
}
