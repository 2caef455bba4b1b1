//! An example of the kernel crate, with the console on the terminal.
//!
//! Xen's own lines go to the log only. The run is a person's, so it has no time limit: Ctrl-C ends it. It fails
//! unless the guest ended by itself, with reboot or poweroff, and not by crashing.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::console::Console;
use crate::qemu::{self, Boot, End, Machine};
use crate::steps::{say, step};
use crate::{image, judge, paths};

/// Longer than any terminal stays open.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// `./run.sh run <name> -- <arguments>`
pub fn example(name: &str, arguments: &str) -> Result<()> {
    let kernel = image::example(name)?;
    let xen = step("prepare Xen", qemu::prepare)?;
    let log = format!("run-{name}");
    say(&format!(
        "boot    {name} (Ctrl-C ends it; Xen's lines are in {})",
        paths::shown(&paths::lab().join(format!("{log}.log")))
    ));
    let _terminal = Terminal::keep();
    let boot = Boot { xen: &xen, kernel: &kernel, arguments, log: &log };
    // Only a process of the terminal's foreground group may read it.
    let mut machine = Machine::boot_in_foreground(&boot)?;
    let mut out = std::io::stdout();
    let end = machine.run(A_YEAR, over, |bytes| {
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    })?;
    match end {
        End::Seen if judge::crashed(&machine.console().xen()) => {
            bail!("{name} crashed\n{}", machine.excerpt())
        }
        End::Seen => Ok(()),
        End::Exited(status) if status.success() => Ok(()),
        End::Exited(status) => bail!("QEMU ended with {status}\n{}", machine.excerpt()),
        End::TimedOut => bail!("{name} never ended"),
    }
}

/// Xen has said its last word: after a crash it waits for five seconds, after a poweroff it halts for ever.
fn over(console: &Console) -> bool {
    let xen = console.xen();
    judge::crashed(&xen) || xen.iter().any(|line| line.starts_with("Hardware Dom0 halted"))
}

/// The terminal's settings, which QEMU changes; dropping it restores them.
struct Terminal(Option<String>);

impl Terminal {
    fn keep() -> Terminal {
        if !std::io::stdin().is_terminal() {
            return Terminal(None);
        }
        let settings = Command::new("stty").arg("-g").stdin(Stdio::inherit()).output();
        Terminal(settings.ok().map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            let _ = Command::new("stty").arg(settings).stdin(Stdio::inherit()).status();
        }
    }
}
