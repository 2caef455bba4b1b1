//! Event channels that the shell has opened.

use core::fmt::Write;
use core::pin::pin;

use drivers::events::Port;
use drivers::memory::Platform;
use drivers::{Errno, Error, PortNumber};

use crate::Machine;
use crate::shell::Shell;
use crate::shell::args::Args;
use crate::shell::reply::{Done, Failure};
use crate::text::Text;

/// `port offer <domid>`
pub(crate) fn offer<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let peer = args.domid()?;
    args.end()?;
    shell.ports.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
    keep(shell, shell.services.events.alloc_unbound(peer)?, ok)
}

/// `port bind <domid> <port>`
pub(crate) fn bind<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let (peer, port) = (args.domid()?, PortNumber(args.number("<port>")?));
    args.end()?;
    shell.ports.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
    let bound = shell.services.events.bind_interdomain(peer, port)?;
    keep(shell, bound, ok)
}

fn keep<X: Platform, M>(shell: &mut Shell<'_, X, M>, port: Port<X>, ok: &mut Text) -> Done {
    write!(ok, " port={}", port.number())?;
    shell.ports.push(port);
    Ok(())
}

/// `port send <port>`
pub(crate) fn send<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let place = find(shell, args)?;
    args.end()?;
    let port = &shell.ports[place];
    port.send()?;
    Ok(write!(ok, " port={}", port.number())?)
}

/// `port wait <port> [ms]`
pub(crate) async fn wait<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let place = find(shell, args)?;
    let ms = args.optional_number("[ms]")?;
    args.end()?;
    let port = &shell.ports[place];
    shell.wait(ms, pin!(port.wait())).await?;
    Ok(write!(ok, " port={}", port.number())?)
}

/// `port close <port>`
pub(crate) fn close<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let place = find(shell, args)?;
    args.end()?;
    let port = shell.ports.swap_remove(place);
    Ok(write!(ok, " port={}", port.number())?)
}

/// Where the port of the next argument stands among ours.
fn find<X: Platform, M>(shell: &Shell<'_, X, M>, args: &mut Args<'_>) -> Result<usize, Failure> {
    let number = PortNumber(args.number("<port>")?);
    let place = shell.ports.iter().position(|port| port.number() == number);
    place.ok_or_else(|| {
        Failure::new(
            Errno::ENOENT,
            format_args!("no port {number} was opened with port offer or port bind"),
        )
    })
}
