// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event channels that the shell has opened.

use core::fmt::Write;
use core::pin::pin;

use drivers::events::Port;
use drivers::memory::Platform;
use drivers::{Errno, Error, PortNumber, list};

use crate::machine::Machine;
use crate::shell::args::Args;
use crate::shell::reply::{Done, Failure};
use crate::shell::state::Shell;
use crate::text::Text;

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `port offer <domid>`
    pub(crate) fn port_offer(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let peer = args.domid()?;
        args.end()?;
        self.ports.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
        keep(self, self.services.events.alloc_unbound(peer)?, ok)
    }

    /// `port bind <domid> <port>`
    pub(crate) fn port_bind(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (peer, port) = (args.domid()?, PortNumber(args.number("<port>")?));
        args.end()?;
        self.ports.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
        let bound = self.services.events.bind_interdomain(peer, port);
        let bound = bound.map_err(|error| match error {
            Error::Hypercall(_, Errno::EINVAL) => {
                Failure::new(Errno::EINVAL, format_args!("domain {peer} offers you no port {port}"))
            }
            Error::Hypercall(_, Errno::ESRCH) => {
                Failure::new(Errno::ESRCH, format_args!("there is no domain {peer}"))
            }
            other => other.into(),
        })?;
        keep(self, bound, ok)
    }

    /// `port send <port>`
    pub(crate) fn port_send(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (_, port) = find(self, args)?;
        args.end()?;
        port.send()?;
        Ok(write!(ok, " port={}", port.number())?)
    }

    /// `port wait <port> [ms]`
    pub(crate) async fn port_wait(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (_, port) = find(self, args)?;
        let ms = args.optional_number("[ms]")?;
        args.end()?;
        self.wait_for(ms, pin!(port.wait())).await?;
        Ok(write!(ok, " port={}", port.number())?)
    }

    /// `port close <port>`
    pub(crate) fn port_close(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (place, _) = find(self, args)?;
        args.end()?;
        let port = self.ports.swap_remove(place);
        Ok(write!(ok, " port={}", port.number())?)
    }
}

fn keep<X: Platform, M>(shell: &mut Shell<'_, X, M>, port: Port<X>, ok: &mut Text) -> Done {
    write!(ok, " port={}", port.number())?;
    Ok(list::push(&mut shell.ports, port)?)
}

/// Our port that the next argument names, and its position in the list.
fn find<'s, X: Platform, M>(
    shell: &'s Shell<'_, X, M>,
    args: &mut Args<'_>,
) -> Result<(usize, &'s Port<X>), Failure> {
    let number = PortNumber(args.number("<port>")?);
    let found = shell.ports.iter().enumerate().find(|(_, port)| port.number() == number);
    found.ok_or_else(|| {
        Failure::new(
            Errno::ENOENT,
            format_args!("no port {number} was opened with port offer or port bind"),
        )
    })
}
