// SPDX-License-Identifier: MIT OR Apache-2.0
//! Flags that a kernel needs besides those that Cargo passes on, and the message if some are
//! missing.

/// The target of a kernel; other targets need nothing.
const TARGET: &str = "x86_64-unknown-none";

/// A codegen option, its required value, and the reason.
const NEEDED: [(&str, &str, &str); 5] = [
    ("link-arg", "-Tgrantkit.ld", "the linker script"),
    ("relocation-model", "static", "a PV guest is never moved"),
    ("code-model", "kernel", "it is linked for the top 2 GiB"),
    ("force-frame-pointers", "yes", "backtraces follow them"),
    ("symbol-mangling-version", "v0", "backtraces can read it"),
];

/// The message for a build for `target` with these flags (`CARGO_ENCODED_RUSTFLAGS`); `None` if
/// they suffice.
pub fn complaint(target: &str, encoded: &str) -> Option<String> {
    let missing = missing(encoded);
    if target != TARGET || missing.is_empty() {
        return None;
    }
    let mut text = format!(
        "grantkit: a kernel needs rustc flags that Cargo can't carry from a dependency to a \
         program.\nAdd to .cargo/config.toml of the program (a RUSTFLAGS in the environment takes \
         the place of them all):\n\n[target.{TARGET}]\nrustflags = [\n"
    );
    for (option, value, why) in missing {
        text += &format!("    \"-C{option}={value}\", # {why}\n");
    }
    Some(text + "]\n")
}

fn missing(encoded: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    let given = codegen_options(encoded);
    let is_set = |option: &str, value: &str| {
        let mut values = given.iter().filter(|(name, _)| name == option).map(|(_, value)| value);
        match option {
            "link-arg" => {
                let script = value.trim_start_matches("-T");
                given.iter().any(|(name, v)| name.starts_with("link-arg") && v.contains(script))
            }
            // If an option is given twice, the last one counts.
            "force-frame-pointers" => values
                .next_back()
                .is_some_and(|v| ["", "y", "yes", "on", "true", "always"].contains(&v.as_str())),
            _ => values.next_back().is_some_and(|v| v == value),
        }
    };
    NEEDED.into_iter().filter(|(option, value, _)| !is_set(option, value)).collect()
}

/// The `-C name=value` options among the flags, in every form that rustc accepts.
fn codegen_options(encoded: &str) -> Vec<(String, String)> {
    let mut flags = encoded.split('\x1f');
    let mut options = Vec::new();
    while let Some(flag) = flags.next() {
        let option = match flag {
            "-C" | "--codegen" => flags.next(),
            _ => flag.strip_prefix("--codegen=").or_else(|| flag.strip_prefix("-C")),
        };
        if let Some(option) = option {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            options.push((name.replace('_', "-"), value.to_owned()));
        }
    }
    options
}
