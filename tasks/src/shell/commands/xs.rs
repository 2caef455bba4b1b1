//! Xenstore's nodes.

use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::pin::pin;

use drivers::memory::Platform;
use drivers::xenstore::{Request, XenStore, names};
use drivers::{Errno, Error};

use crate::Machine;
use crate::shell::Shell;
use crate::shell::args::Args;
use crate::shell::reply::{Done, Failure};
use crate::text::Text;

/// How long xenstore may take for an answer.
const PATIENCE_MS: u64 = 10_000;

/// `xs read <path>`
pub(crate) async fn read<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let path = args.word("<path>")?;
    args.end()?;
    let value = ask(shell, path, store(shell)?.read(path)).await?;
    Ok(write!(ok, " path={path} value={}", Plain(&value))?)
}

/// `xs write <path> <value>`
pub(crate) async fn write<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let path = args.word("<path>")?;
    let value = args.rest_of_line("<value>")?.as_bytes();
    ask(shell, path, store(shell)?.write(path, value)).await?;
    Ok(write!(ok, " path={path} value={}", Plain(value))?)
}

/// `xs list <path>`
pub(crate) async fn list<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let path = args.word("<path>")?;
    args.end()?;
    let directory = ask(shell, path, store(shell)?.directory(path)).await?;
    write!(ok, " path={path} names=")?;
    for (place, name) in names(&directory).enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(ok, "{comma}{}", Plain(name))?;
    }
    Ok(())
}

/// `xs rm <path>`
pub(crate) async fn rm<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let path = args.word("<path>")?;
    args.end()?;
    ask(shell, path, store(shell)?.remove(path)).await?;
    Ok(write!(ok, " path={path}")?)
}

fn store<'s, X: Platform, M>(shell: &'s Shell<'_, X, M>) -> Result<&'s XenStore<X>, Error> {
    let absent = Error::Invalid(Errno::ENODEV, "this domain has no xenstore");
    shell.services.xenstore.as_ref().ok_or(absent)
}

async fn ask<X: Platform, M: Machine>(
    shell: &Shell<'_, X, M>,
    path: &str,
    request: Request<X>,
) -> Result<Vec<u8>, Failure> {
    let mut answer = Ok(Vec::new());
    shell.wait(Some(PATIENCE_MS), pin!(async { answer = request.await })).await?;
    answer.map_err(|error| Failure::new(error.errno(), format_args!("{path:?}: {error}")))
}

/// Bytes that may not break the line: what is not printable, and the backslash, as `\xNN`.
struct Plain<'a>(&'a [u8]);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            if (b' '..=b'~').contains(&byte) && byte != b'\\' {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}
