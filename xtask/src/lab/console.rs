// SPDX-License-Identifier: MIT OR Apache-2.0
//! Splits the output of one serial line into the guest's and Xen's.
//!
//! A guest in dom0's place shares the line with the hypervisor. Xen starts each of its lines with
//! `(XEN) `, possibly in the middle of a guest's line: such a line is taken out, and the guest's
//! next output continues its own line.

const MARK: &[u8] = b"(XEN) ";

/// The output so far.
#[derive(Default)]
pub struct Console {
    guest: Vec<u8>,
    xen: Vec<u8>,
    matched: usize,
    in_xen: bool,
}

impl Console {
    /// Takes new output, and returns the guest's part of it.
    pub fn feed(&mut self, bytes: &[u8]) -> &[u8] {
        let before = self.guest.len();
        for &byte in bytes {
            if self.in_xen {
                self.xen.push(byte);
                self.in_xen = byte != b'\n';
                continue;
            }
            if byte != MARK[self.matched] {
                // It looked like Xen's prefix, but was not.
                self.guest.extend_from_slice(&MARK[..self.matched]);
                self.matched = 0;
            }
            if byte == MARK[self.matched] {
                self.matched = (self.matched + 1) % MARK.len();
                self.in_xen = self.matched == 0;
            } else {
                self.guest.push(byte);
            }
        }
        &self.guest[before..]
    }

    /// The guest's complete lines, without line ends.
    pub fn guest(&self) -> Vec<String> {
        whole_lines(&self.guest)
    }

    /// Xen's complete lines, without its prefix.
    pub fn xen(&self) -> Vec<String> {
        whole_lines(&self.xen)
    }
}

/// The complete lines in these bytes, without line ends.
pub fn whole_lines(bytes: &[u8]) -> Vec<String> {
    let end = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
    let text = String::from_utf8_lossy(&bytes[..end]);
    text.lines().map(|line| line.trim_matches('\r').to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(pieces: &[&str]) -> Console {
        let mut console = Console::default();
        for piece in pieces {
            console.feed(piece.as_bytes());
        }
        console
    }

    #[test]
    fn lines_are_told_apart() {
        let console = heard(&["(XEN) one\r\nok a\r\n(XEN) two\r\nok b\r\n"]);
        assert_eq!(console.guest(), ["ok a", "ok b"]);
        assert_eq!(console.xen(), ["one", "two"]);
    }

    #[test]
    fn a_line_of_xen_inside_a_guest_line_is_taken_out() {
        let console = heard(&["ok stat(XEN) hm\r\nus x=1\r\n"]);
        assert_eq!(console.guest(), ["ok status x=1"]);
    }

    #[test]
    fn pieces_of_any_size_give_the_same_lines() {
        let text = "a (XE) b\r\n((XEN) x\r\n(XEN) y\r\nc\r\n";
        let bytewise: Vec<&str> = text.split_inclusive(|_| true).collect();
        for console in [heard(&[text]), heard(&bytewise)] {
            assert_eq!(console.guest(), ["a (XE) b", "(c"]);
            assert_eq!(console.xen(), ["x", "y"]);
        }
    }

    #[test]
    fn a_line_without_end_is_no_line_yet() {
        let console = heard(&["ok a\r\nok selft"]);
        assert_eq!(console.guest(), ["ok a"]);
    }

    #[test]
    fn feed_returns_the_guests_share() {
        assert_eq!(Console::default().feed(b"grant(XEN) x\nkit> "), b"grantkit> ");
    }
}
