// SPDX-License-Identifier: MIT OR Apache-2.0
//! A command's result: a line of keys, or an error line with an errno and Xen's status.

use core::fmt::{self, Write};

use drivers::console::Console;
use drivers::memory::Platform;
use drivers::{Errno, Error, GrantStatus, status_name};

use crate::text::{Text, Words};

/// Lines are printed once they have this many bytes.
const PIECE: usize = 1024;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    errno: Errno,
    /// Xen's status, if it refused.
    status: Option<GrantStatus>,
    words: Words,
}

/// How a command ends. A successful one has appended its keys to its `ok` line.
pub(crate) type Done = Result<(), Failure>;

impl Failure {
    pub(crate) fn new(errno: Errno, words: fmt::Arguments<'_>) -> Self {
        // If there is no memory for the words, there is just the errno.
        Self { errno, status: None, words: Words::new(words) }
    }

    pub(crate) fn invalid(words: fmt::Arguments<'_>) -> Self {
        Self::new(Errno::EINVAL, words)
    }

    /// The same with another errno.
    pub(crate) fn with_errno(self, errno: Errno) -> Self {
        Self { errno, ..self }
    }

    /// The name of Xen's status, or `-`.
    fn status(&self) -> &'static str {
        self.status.map_or("-", status_name)
    }

    /// Appends the line to `line`.
    ///
    /// # Errors
    /// Without memory.
    pub(crate) fn write_line(&self, line: &mut Text, command: &str) -> fmt::Result {
        let (errno, status, words) = (self.errno, self.status(), self.words.as_str());
        writeln!(line, "error {command} errno={errno} status={status} {words}")
    }

    /// Appends what follows the command in that line, without the words.
    ///
    /// # Errors
    /// Without memory.
    pub(crate) fn write_end(&self, line: &mut Text) -> fmt::Result {
        writeln!(line, " errno={} status={} out of memory", self.errno, self.status())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { status: error.status(), ..Self::new(error.errno(), format_args!("{error}")) }
    }
}

/// A [`Text`] could not grow.
impl From<fmt::Error> for Failure {
    fn from(_: fmt::Error) -> Self {
        Self::new(Errno::ENOMEM, format_args!("out of memory for the answer"))
    }
}

/// Prints lines for people, before the result line: those that `next` writes, until it has none.
///
/// # Errors
/// `next`'s; lines that are not printed yet are left out then.
pub(crate) async fn print_lines<X: Platform>(
    console: &Console<X>,
    next: &mut dyn FnMut(&mut Text) -> Option<fmt::Result>,
) -> fmt::Result {
    let mut piece = Text::new();
    loop {
        let wrote = next(&mut piece).transpose()?;
        // In pieces, since each is an event for the console daemon.
        if wrote.is_none() || piece.as_str().len() >= PIECE {
            console.print(piece.as_str().as_bytes()).await;
            piece.clear();
        }
        if wrote.is_none() {
            return Ok(());
        }
    }
}
