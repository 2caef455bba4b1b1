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

/// What to do with a node.
#[derive(Clone, Copy)]
enum Wish {
    Read,
    Write,
    List,
    Remove,
}

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `xs read <path>`
    pub(crate) fn xs_read(
        &mut self,
        args: &mut Args<'_>,
        ok: &mut Text,
    ) -> impl Future<Output = Done> {
        self.xs(Wish::Read, args, ok)
    }

    /// `xs write <path> <value>`
    pub(crate) fn xs_write(
        &mut self,
        args: &mut Args<'_>,
        ok: &mut Text,
    ) -> impl Future<Output = Done> {
        self.xs(Wish::Write, args, ok)
    }

    /// `xs list <path>`
    pub(crate) fn xs_list(
        &mut self,
        args: &mut Args<'_>,
        ok: &mut Text,
    ) -> impl Future<Output = Done> {
        self.xs(Wish::List, args, ok)
    }

    /// `xs rm <path>`
    pub(crate) fn xs_rm(
        &mut self,
        args: &mut Args<'_>,
        ok: &mut Text,
    ) -> impl Future<Output = Done> {
        self.xs(Wish::Remove, args, ok)
    }

    async fn xs(&mut self, wish: Wish, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let path = args.word("<path>")?;
        let mut value = "";
        if let Wish::Write = wish {
            value = args.rest_of_line("<value>")?;
        } else {
            args.end()?;
        }
        let store = self.services.store()?;
        let request = match wish {
            Wish::Read => store.read(path),
            Wish::Write => store.write(path, value.as_bytes()),
            Wish::List => store.directory(path),
            Wish::Remove => store.remove(path),
        };
        let answer = ask(self, path, request).await?;
        write!(ok, " path={path}")?;
        match wish {
            Wish::Read => write!(ok, " value={}", Plain(&answer))?,
            Wish::Write => write!(ok, " value={}", Plain(value.as_bytes()))?,
            Wish::List => {
                write!(ok, " names=")?;
                text::list(ok, names(&answer).map(Plain))?;
            }
            Wish::Remove => {}
        }
        Ok(())
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
