// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for every file or every crate of the repository that would otherwise be broken unnoticed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// File name extensions of sources.
const SOURCES: [&str; 5] = ["rs", "s", "c", "ld", "sh"];
/// Files that don't carry our licence: a new crate's owner chooses.
const OTHERS: &str = "template/";

fn licence() -> String {
    // In two parts, so that this line is not itself a licence line.
    ["SPDX-License-Identifier", "MIT OR Apache-2.0"].join(": ")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a repository")
}

/// Collects the files below a folder, except what a build or git makes.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match () {
            () if path.is_symlink() || name == ".git" || name == "target" => {}
            () if path.is_dir() => files(&path, found),
            () => found.push(path),
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(root(), &mut found);
    found.retain(|path| {
        let ending = path.extension().unwrap_or_default();
        !path.starts_with(root().join(OTHERS)) && SOURCES.iter().any(|source| ending == *source)
    });
    found
}

#[test]
fn every_source_file_states_its_licence_in_its_first_or_last_line() {
    let sources = sources();
    assert!(sources.len() > 500, "{} sources", sources.len());
    let says = |path: &&PathBuf| {
        let text = fs::read_to_string(path).expect("a text");
        let mut lines = text.lines().filter(|line| !line.starts_with("#!/"));
        let ends = [lines.next(), lines.next_back()];
        ends.into_iter().flatten().any(|line| line.contains(&licence()))
    };
    let silent: Vec<_> = sources.iter().filter(|path| !says(path)).collect();
    assert!(silent.is_empty(), "no licence in {silent:#?}");
}

#[test]
fn every_librarys_front_page_has_a_map_and_an_example_that_runs() {
    let product =
        ["xen-sys", "drivers", "vchan", "vchan-linux", "linux", "kernel", "tasks"].into_iter();
    let proof = ["lab/fake", "lab/model", "lab/conformance", "lab/trials", "lab/dom0"];
    for library in product.chain(proof) {
        let text = fs::read_to_string(root().join(library).join("src/lib.rs")).expect("a library");
        let page: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("//!")).collect();
        assert!(page.contains(&" # Map"), "{library} has no map");
        // A fence without a language opens an example that rustdoc runs.
        let mut fences = page.iter().filter(|line| line.starts_with(" ```")).step_by(2);
        assert!(fences.any(|fence| *fence == " ```"), "{library} has no example that runs");
    }
}

#[test]
fn published_crates_are_described_and_no_other_crate_can_be_published() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let said = cargo.current_dir(root()).output().expect("cargo runs").stdout;
    let metadata: serde_json::Value = serde_json::from_slice(&said).expect("metadata");
    let mut published = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let told = package["description"].as_str().is_some_and(|words| words.len() > 20);
        assert!(told, "{name} has no description");
        assert_eq!(package["license"], "MIT OR Apache-2.0", "{name}");
        if package["publish"].is_null() {
            published.push(name);
            let folder = Path::new(package["manifest_path"].as_str().expect("a path"));
            for text in ["LICENSE-MIT", "LICENSE-APACHE"] {
                assert!(folder.with_file_name(text).exists(), "{name} has no {text}");
            }
            assert_ne!(package["keywords"], serde_json::json!([]), "{name} has no keywords");
        }
    }
    published.sort_unstable();
    assert_eq!(published, ["drivers", "fake-xen", "grantkit", "grantkit-xen-sys", "vchan"]);
}
