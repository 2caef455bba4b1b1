// SPDX-License-Identifier: MIT OR Apache-2.0
//! The settings of the user's terminal.
//!
//! Dropping the value restores them. Without a terminal nothing happens.

use std::io::IsTerminal;
use std::process::{Command, Stdio};

/// The terminal's settings, saved.
pub struct Terminal(Option<String>);

impl Terminal {
    /// Saves the settings before something changes them.
    pub fn keep() -> Terminal {
        if !std::io::stdin().is_terminal() {
            return Terminal(None);
        }
        let settings = stty(&["-g"]).stdout(Stdio::piped()).output();
        Terminal(settings.ok().map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()))
    }

    /// Saves the settings and switches to raw mode: each key arrives when pressed, and none has a
    /// meaning to the terminal.
    pub fn raw() -> Terminal {
        let kept = Terminal::keep();
        if kept.0.is_some() {
            let _ = stty(&["raw", "-echo"]).status();
        }
        kept
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            let _ = stty(&[settings]).status();
        }
    }
}

fn stty(words: &[&str]) -> Command {
    let mut stty = Command::new("stty");
    stty.args(words).stdin(Stdio::inherit());
    stty
}
