// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames: the format of the serial line between the lab's dom0 and its driver.
//!
//! A frame is one line, `<channel> <bytes>`. The channel contains no blank. In the bytes,
//! backslashes and everything but printable ASCII are written `\xx`, in hexadecimal. A damaged line
//! is not a frame.
//!
//! | to dom0 | |
//! |---|---|
//! | `run.<id>` | run a program; the words are separated by NUL |
//! | `feed.<id>` | write these bytes to the program's input; if empty, close it |
//! | `kill.<id>` | end the program with SIGKILL |
//! | `type.<guest>` | type these bytes on the guest's console |
//! | `domid.<guest>` | ask for its domid |
//! | `node.<path>` | ask for the value of a xenstore node, once there is one |
//!
//! | from dom0 | |
//! |---|---|
//! | `ready` | dom0 is up; the words are the versions of Xen and Linux |
//! | `console.<guest>` | the guest wrote this on its console |
//! | `log.<name>` | a daemon wrote this to its log |
//! | `out.<id>`, `done.<id>` | a program wrote this; a program ended with this status |
//! | `domid.<guest>` | its domid, or nothing if there is no such guest |
//! | `node.<path>` | the node's value |
//! | `trouble` | an error of the agent's |

use std::fmt::Write;

/// Encodes a frame as a line, including its line end.
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

/// Decodes a line into its channel and bytes; `None` if it isn't a whole frame.
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
