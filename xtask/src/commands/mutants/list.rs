// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lists of mutants: `xtask/mutants/*.txt`.
//!
//! An entry is a name after `##`, then `file:`, `tests:` and `thought:`, then the lines to replace,
//! each after `- `, and their replacements, each after `+ `. The first line to replace may begin in
//! the middle of a line; the whole must occur exactly once in the file. `tests` are arguments of
//! `cargo test`; without `-p` they are tests of `drivers`. Lines that start with `#` and a blank
//! are comments.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::host::paths;

/// One change, and the tests that should notice it.
#[derive(Debug)]
pub struct Mutant {
    pub name: String,
    /// Why somebody might write it.
    pub thought: String,
    /// Relative to the repository.
    pub file: PathBuf,
    /// Arguments for `cargo test`.
    pub tests: Vec<String>,
    list: String,
    from: Vec<String>,
    to: Vec<String>,
}

/// All mutants of all lists.
pub fn all() -> Result<Vec<Mutant>> {
    let folder = paths::root().join("xtask/mutants");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", paths::shown(&folder)))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path)?;
        all.extend(parse(&name, &text).with_context(|| paths::shown(&path).to_string())?);
    }
    let mut names: Vec<&str> = all.iter().map(|mutant| &*mutant.name).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("two mutants are called {}", twice[0]);
    }
    Ok(all)
}

impl Mutant {
    /// Whether a word from the command line selects this mutant.
    pub fn is_about(&self, word: &str) -> bool {
        self.name.contains(word) || self.list == word || self.file.to_string_lossy().contains(word)
    }

    /// Returns the file's text with the change applied.
    ///
    /// # Errors
    /// If the lines to replace don't occur exactly once: a message that says so.
    pub fn apply(&self) -> Result<String, String> {
        let text = fs::read_to_string(paths::root().join(&self.file))
            .map_err(|error| format!("{}: {}: {error}", self.name, self.file.display()))?;
        self.apply_to(&text)
    }

    fn apply_to(&self, text: &str) -> Result<String, String> {
        let from = self.from.join("\n");
        match text.matches(&from).count() {
            1 => Ok(text.replacen(&from, &self.to.join("\n"), 1)),
            n => Err(format!("{}: found {n} times in {}", self.name, self.file.display())),
        }
    }
}

fn parse(list: &str, text: &str) -> Result<Vec<Mutant>> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line == "#" || line.starts_with("# ") {
            continue;
        }
        if let Some(name) = line.strip_prefix("## ") {
            mutants.push(Mutant::named(name, list));
            continue;
        }
        let Some(mutant) = mutants.last_mut() else {
            bail!("line {}: before the first name", number + 1);
        };
        match line.split_at_checked(2) {
            Some(("- ", from)) => mutant.from.push(from.to_owned()),
            Some(("+ ", to)) => mutant.to.push(to.to_owned()),
            _ => match line.split_once(": ") {
                Some(("file", file)) => mutant.file = Path::new(file).to_owned(),
                Some(("tests", tests)) => mutant.tests = words(tests),
                Some(("thought", thought)) => mutant.thought = thought.to_owned(),
                _ => bail!("line {}: {line:?} is none of an entry's lines", number + 1),
            },
        }
    }
    for Mutant { name, thought, file, tests, from, .. } in &mutants {
        if thought.is_empty() || tests.is_empty() || from.is_empty() || file == Path::new("") {
            bail!("{name}: an entry needs a file, tests, a thought, and lines after `- `");
        }
    }
    Ok(mutants)
}

fn words(tests: &str) -> Vec<String> {
    let drivers: &[&str] = if tests.contains("-p ") { &[] } else { &["-p", "drivers"] };
    drivers.iter().copied().chain(tests.split_whitespace()).map(str::to_owned).collect()
}

impl Mutant {
    fn named(name: &str, list: &str) -> Mutant {
        Mutant {
            name: name.to_owned(),
            thought: String::new(),
            file: PathBuf::new(),
            tests: Vec::new(),
            list: list.to_owned(),
            from: Vec::new(),
            to: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# a remark\n\n## one\nfile: a/b.rs\ntests: --test x\nthought: why not\n\
                        - let a = 1;\n-     a + 1\n+ 2\n";

    #[test]
    fn an_entry_replaces_what_is_there_once() {
        let mutants = parse("few", LIST).unwrap();
        let [one] = &mutants[..] else { panic!("{mutants:?}") };
        assert_eq!(one.tests, ["-p", "drivers", "--test", "x"]);
        let text = "{\n    let a = 1;\n    a + 1\n}\n";
        assert_eq!(one.apply_to(text).unwrap(), "{\n    2\n}\n");
        assert!(one.apply_to("let a = 2;").unwrap_err().contains("found 0 times"));
        assert!(one.apply_to(&text.repeat(2)).unwrap_err().contains("found 2 times"));
        assert!(one.is_about("few") && one.is_about("a/b") && !one.is_about("two"));
    }

    #[test]
    fn an_entry_without_a_part_or_with_an_extra_line_is_refused() {
        for part in ["file: a/b.rs\n", "tests: --test x\n", "thought: why not\n"] {
            assert!(parse("few", &LIST.replace(part, "")).is_err(), "{part}");
        }
        assert!(parse("few", "file: a\n").is_err());
        assert!(parse("few", &format!("{LIST}something\n")).is_err());
    }

    #[test]
    fn every_mutant_of_the_lists_applies() {
        let stale: Vec<_> = all().unwrap().iter().filter_map(|one| one.apply().err()).collect();
        assert_eq!(stale, [""; 0]);
    }
}
