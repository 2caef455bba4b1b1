//! The repository's own files: what stands at a line, and whether an `async` body begins there.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::lines::Line;
use super::list::Place;
use super::locations::Location;

/// Files by their names from the repository on, each read once; `None` is none of ours.
pub struct Sources {
    root: PathBuf,
    read: HashMap<String, Option<String>>,
}

impl Sources {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), read: HashMap::new() }
    }

    /// The text of a file of ours. Those of libraries begin at a folder that isn't here.
    fn text(&mut self, file: &str) -> Option<&str> {
        if !self.read.contains_key(file) {
            let text = fs::read_to_string(self.root.join(file)).ok();
            let ours = Path::new(file).is_relative();
            self.read.insert(file.to_owned(), text.filter(|_| ours));
        }
        self.read.get(file)?.as_deref()
    }

    /// The trimmed text of a line, if the file is ours; `?` where there is no such line.
    pub fn line(&mut self, file: &str, line: u32) -> Option<String> {
        let index = (line as usize).checked_sub(1);
        let text = self.text(file)?;
        let line = index.and_then(|index| text.lines().nth(index));
        Some(line.map_or("?", str::trim).to_owned())
    }

    /// Whether this is where an `async` body of ours begins: what its poll after the end names.
    pub fn is_async_body(&mut self, at: &Location) -> bool {
        self.text(&at.file).is_some_and(|text| is_async_body(text, at.line, at.column))
    }

    /// The first line of a chain that is ours.
    pub fn innermost(&mut self, chain: &[Line]) -> Option<Place> {
        chain.iter().find_map(|(file, line)| {
            let within = Path::new(file).strip_prefix(&self.root).ok().and_then(Path::to_str);
            let file = within.unwrap_or(file).to_owned();
            self.line(&file, *line).map(|text| Place { file, text, line: *line })
        })
    }
}

/// An expression that begins with the word `async` is a block or a closure, which panics nowhere
/// else; and a `{` that follows a head with `async fn` is its body. Other expressions begin with
/// `{` only if they are blocks.
fn is_async_body(text: &str, line: u32, column: u32) -> bool {
    let mut before = String::new();
    for (number, text) in (1..).zip(text.lines()) {
        if number < line {
            before.extend([text, "\n"]);
            continue;
        }
        let (left, right) = match text.char_indices().nth(column as usize - 1) {
            Some((at, _)) => text.split_at(at),
            None => return false,
        };
        if let Some(rest) = right.strip_prefix("async") {
            return rest.starts_with([' ', '{', '\n']) || rest.is_empty();
        }
        before.push_str(left);
        let head = before.rsplit_once("fn ");
        return right.starts_with('{')
            && head.is_some_and(|(words, head)| {
                words.ends_with("async ") && !head.contains(['{', '}'])
            });
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At the only `@`, which is taken out.
    fn marked(text: &str) -> bool {
        let at = text.find('@').expect("a mark");
        let (before, last) = text[..at].rsplit_once('\n').unwrap_or(("", &text[..at]));
        let line = if before.is_empty() { 1 } else { before.lines().count() as u32 + 1 };
        is_async_body(&text.replace('@', ""), line, last.chars().count() as u32 + 1)
    }

    #[test]
    fn bodies_of_async_functions_and_blocks_are_recognised() {
        assert!(marked("pub async fn a() @{\n}\n"));
        assert!(marked(
            "fn x() {}\nasync fn a(\n    b: [u8; 4],\n) -> u8\nwhere\n    B: C,\n@{\n    1\n}\n"
        ));
        assert!(marked("fn a() {\n    spawn(@async move { 1 });\n}\n"));
        assert!(marked("fn a() {\n    let é = @async {\n    };\n}\n"));
    }

    #[test]
    fn nothing_else_is() {
        assert!(!marked("pub fn a() @{\n}\n"));
        assert!(!marked("async fn a() {\n    @{ list }[0];\n}\n"));
        assert!(!marked("async fn a() {\n    @list[0];\n}\n"));
        assert!(!marked("async fn a() {\n    @asynchronous[0];\n}\n"));
        assert!(!marked("async fn a() {}\nfn b() @{\n}\n"));
        assert!(!is_async_body("async fn a() {}\n", 7, 1));
        assert!(!is_async_body("async fn a() {}\n", 1, 99));
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
