// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xenstore's nodes.

use alloc::vec::Vec;
use core::fmt::Write;
use core::pin::pin;

use drivers::Errno;
use drivers::memory::Platform;
use drivers::xenstore::{DomainPath, Request, names};

use crate::machine::Machine;
use crate::shell::args::Args;
use crate::shell::reply::{Done, Failure};
use crate::shell::state::Shell;
use crate::text::{self, Plain, Quoted, Text};

/// How long xenstore may take to answer.
const PATIENCE_MS: u64 = 10_000;

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `xs read <path>`
    pub(crate) async fn xs_read(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let path = args.word("<path>")?;
        args.end()?;
        let value = ask(self, path, self.services.store()?.read(path)).await?;
        Ok(write!(ok, " path={path} value={}", Plain(&value))?)
    }

    /// `xs write <path> <value>`
    pub(crate) async fn xs_write(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let path = args.word("<path>")?;
        let value = args.rest_of_line("<value>")?.as_bytes();
        ask(self, path, self.services.store()?.write(path, value)).await?;
        Ok(write!(ok, " path={path} value={}", Plain(value))?)
    }

    /// `xs list <path>`
    pub(crate) async fn xs_list(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let path = args.word("<path>")?;
        args.end()?;
        let directory = ask(self, path, self.services.store()?.directory(path)).await?;
        write!(ok, " path={path} names=")?;
        Ok(text::list(ok, names(&directory).map(Plain))?)
    }

    /// `xs rm <path>`
    pub(crate) async fn xs_rm(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let path = args.word("<path>")?;
        args.end()?;
        ask(self, path, self.services.store()?.remove(path)).await?;
        Ok(write!(ok, " path={path}")?)
    }
}

async fn ask<X: Platform, M: Machine>(
    shell: &Shell<'_, X, M>,
    path: &str,
    request: Request<X>,
) -> Result<Vec<u8>, Failure> {
    let own = shell.services.domid;
    let mut answer = Ok(Vec::new());
    shell.wait_for(Some(PATIENCE_MS), pin!(async { answer = request.await })).await?;
    answer.map_err(|error| {
        let (errno, shown) = (error.errno(), Quoted(path));
        match DomainPath::parse(path) {
            Some(DomainPath { domid, .. }) if errno == Errno::EACCES && domid != own => {
                Failure::new(
                    errno,
                    format_args!(
                        "{shown}: only dom0, domain {domid} and those it names may; a name given \
                         before that domain was there does not count (XSA-322)"
                    ),
                )
            }
            _ => Failure::new(errno, format_args!("{shown}: {error}")),
        }
    })
}
