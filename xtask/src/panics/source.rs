// SPDX-License-Identifier: MIT OR Apache-2.0
//! The repository's own files: the text of a line, and the purpose of a `Location` there.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::lines::Line;
use super::list::Place;
use super::locations::Location;

/// Files by name, relative to the repository, each read once; `None` for files that are not ours.
pub struct Sources {
    root: PathBuf,
    read: HashMap<String, Option<String>>,
}

impl Sources {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), read: HashMap::new() }
    }

    /// The text of one of our files. Names of library files start with a folder that doesn't exist
    /// here.
    fn text(&mut self, file: &str) -> Option<&str> {
        if !self.read.contains_key(file) {
            let text = fs::read_to_string(self.root.join(file)).ok();
            let ours = Path::new(file).is_relative();
            self.read.insert(file.to_owned(), text.filter(|_| ours));
        }
        self.read.get(file)?.as_deref()
    }

    /// The trimmed text of a line, if the file is ours; `?` if there is no such line.
    pub fn line(&mut self, file: &str, line: u32) -> Option<String> {
        let index = (line as usize).checked_sub(1);
        let text = self.text(file)?;
        let line = index.and_then(|index| text.lines().nth(index));
        Some(line.map_or("?", str::trim).to_owned())
    }

    /// The purpose of a location in one of our files.
    pub fn purpose(&mut self, at: &Location) -> Purpose {
        self.text(&at.file).map_or(Purpose::Panic, |text| purpose(text, at.line, at.column))
    }

    /// The first line of a chain that is in one of our files.
    pub fn innermost(&mut self, chain: &[Line]) -> Option<Place> {
        chain.iter().find_map(|(file, line)| {
            let within = Path::new(file).strip_prefix(&self.root).ok().and_then(Path::to_str);
            let file = within.unwrap_or(file).to_owned();
            self.line(&file, *line).map(|text| Place { file, text, line: *line })
        })
    }
}

/// The purpose of a `Location`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A panic.
    Panic,
    /// An `async` body starts here: a poll after its end would panic with this location.
    Async,
    /// The origin of a message of the crate `log`.
    Message,
}

/// Finds the purpose of the location at `line` and `column`. An expression that starts with `async`
/// is a block or a closure, which panics only when polled after its end, and a `{` after the head
/// of an `async fn` starts its body. Other expressions start with `{` only if they are blocks.
fn purpose(text: &str, line: u32, column: u32) -> Purpose {
    let mut before = String::new();
    for (number, text) in (1..).zip(text.lines()) {
        if number < line {
            before.extend([text, "\n"]);
            continue;
        }
        let at = text.char_indices().nth((column as usize).saturating_sub(1));
        let (left, right) = text.split_at(at.map_or(text.len(), |(at, _)| at));
        before.push_str(left);
        let block = right.strip_prefix("async");
        let block = block.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '{']));
        let function = right.starts_with('{')
            && before.rsplit_once("fn ").is_some_and(|(words, head)| {
                words.ends_with("async ") && !head.contains(['{', '}'])
            });
        return match () {
            () if block || function => Purpose::Async,
            () if right.starts_with("log::") => Purpose::Message,
            () => Purpose::Panic,
        };
    }
    Purpose::Panic
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The purpose of a location at the only `@` of `text`, which is taken out.
    fn marked(text: &str) -> Purpose {
        let at = text.find('@').expect("a mark");
        let (before, last) = text[..at].rsplit_once('\n').unwrap_or(("", &text[..at]));
        let line = if before.is_empty() { 1 } else { before.lines().count() as u32 + 1 };
        purpose(&text.replace('@', ""), line, last.chars().count() as u32 + 1)
    }

    #[test]
    fn bodies_of_async_functions_and_blocks_are_recognised() {
        let head = "fn x() {}\nasync fn a(\n    b: [u8; 4],\n) -> u8\nwhere\n    B: C,\n";
        assert_eq!(marked(&format!("{head}@{{\n    1\n}}\n")), Purpose::Async);
        assert_eq!(marked("pub async fn a() @{\n}\n"), Purpose::Async);
        assert_eq!(marked("fn a() {\n    spawn(@async move { 1 });\n}\n"), Purpose::Async);
        assert_eq!(marked("fn a() {\n    let é = @async {\n    };\n}\n"), Purpose::Async);
    }

    #[test]
    fn messages_of_log_are_recognised() {
        assert_eq!(marked("fn a() {\n    @log::warn!(\"{}\", b);\n}\n"), Purpose::Message);
        assert_eq!(marked("fn a() {\n    log::warn!(\"{}\", @b[0]);\n}\n"), Purpose::Panic);
    }

    #[test]
    fn everything_else_is_a_panic() {
        for text in [
            "pub fn a() @{\n}\n",
            "async fn a() {\n    @{ list }[0];\n}\n",
            "async fn a() {\n    @list[0];\n}\n",
            "async fn a() {\n    @asynchronous[0];\n}\n",
            "async fn a() {}\nfn b() @{\n}\n",
        ] {
            assert_eq!(marked(text), Purpose::Panic, "{text}");
        }
        for (line, column) in [(7, 1), (1, 99)] {
            assert_eq!(purpose("async fn a() {}\n", line, column), Purpose::Panic);
        }
    }

    #[test]
    fn only_files_of_the_repository_are_ours() {
        let mut sources = Sources::new(crate::host::paths::root());
        assert_eq!(sources.line("run.sh", 1).as_deref(), Some("#!/bin/bash"));
        assert_eq!(sources.line("run.sh", 0).as_deref(), Some("?"));
        assert_eq!(sources.line("spin-0.12.0/src/lib.rs", 1), None);
        let here = crate::host::paths::root().join("run.sh");
        assert_eq!(sources.line(here.to_str().unwrap(), 1), None);
        let chain = [("/rustc/1/a.rs".to_owned(), 4), (here.to_str().unwrap().to_owned(), 1)];
        assert_eq!(sources.innermost(&chain).map(|place| place.file).as_deref(), Some("run.sh"));
    }
}
