// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds an initramfs: files and folders in a cpio archive in "newc" format, which Linux unpacks
//! as its first root.
//!
//! The same contents give the same bytes: owner root, no times, inode numbers in the order of
//! adding. The archive is not compressed, because under emulation unpacking takes longer than
//! loading.

use std::collections::BTreeSet;

/// The modes of a regular file that anyone may run, and of a folder.
const FILE: u32 = 0o100_755;
const FOLDER: u32 = 0o040_755;

/// An archive under construction.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

impl Archive {
    /// Adds a file and its parent folders; `path` must not start with a slash.
    pub fn file(&mut self, path: &str, contents: &[u8]) {
        self.parents(path);
        self.entry(path, FILE, contents);
    }

    /// Adds an empty folder.
    pub fn folder(&mut self, path: &str) {
        self.parents(&format!("{path}/"));
    }

    /// Returns the finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            if self.folders.insert(path[..end].to_owned()) {
                self.entry(&path[..end], FOLDER, &[]);
            }
        }
    }

    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let (size, name_size) = (contents.len(), name.len() + 1);
        self.bytes.extend_from_slice(b"070701");
        // inode, mode, uid, gid, links, mtime, size, four device numbers, name's size, checksum
        let numbers =
            [self.entries as usize, mode as usize, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        for number in numbers {
            self.bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_once_and_before_their_files() {
        let mut archive = Archive::default();
        archive.file("a/b/c", b"123");
        archive.file("a/b/d", b"");
        archive.folder("a/e");
        let text = String::from_utf8(archive.finish()).unwrap();
        let names: Vec<&str> = text
            .split("070701")
            .skip(1)
            .map(|entry| entry[104..].split('\0').next().unwrap())
            .collect();
        assert_eq!(names, ["a", "a/b", "a/b/c", "a/b/d", "a/e", "TRAILER!!!"]);
    }

    #[test]
    fn everything_is_padded_to_four() {
        let mut archive = Archive::default();
        archive.file("file", b"12345");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(&bytes[110..116], b"file\0\0");
        assert_eq!(&bytes[116..124], b"12345\0\0\0");
    }
}
