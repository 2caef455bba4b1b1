//! An example of the kernel crate, with the console on the terminal: in dom0's place, or as a domU of the lab.
//!
//! Xen's own lines go to the log only. The run is a person's, so it has no time limit: Ctrl-C ends it. It fails
//! unless the guest ended by itself, with reboot or poweroff, and not by crashing.

use std::fs;
use std::io::Write;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::console::Console;
use crate::lab::Lab;
use crate::qemu::{self, Boot, End, Machine};
use crate::steps::{say, step};
use crate::terminal::Terminal;
use crate::{dom0, image, judge, paths, shell};

/// Longer than any terminal stays open.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// `./run.sh run <name> -- <arguments>`
pub fn example(name: &str, arguments: &str) -> Result<()> {
    let kernel = image::guest(name)?;
    let xen = step("prepare Xen", qemu::prepare)?;
    let log = format!("run-{name}");
    say(&format!(
        "boot    {name} (Ctrl-C ends it; Xen's lines are in {})",
        paths::shown(&paths::lab().join(format!("{log}.log")))
    ));
    let _terminal = Terminal::keep();
    let boot = Boot { xen: &xen, options: "", kernel: &kernel, arguments, log: &log };
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

/// `./run.sh run <name> --domu -- <arguments>`
pub fn domu(name: &str, arguments: &str) -> Result<()> {
    let kernel = image::guest(name)?;
    let config = paths::target().join("dom0").join(format!("{name}.cfg"));
    fs::create_dir_all(paths::target().join("dom0"))?;
    fs::write(&config, configuration(name, arguments))?;
    let dom0 = dom0::prepare(&[kernel, config])?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, "run", ""))?;
    lab.xl(&["create", &format!("{name}.cfg")])?;
    say(&format!("domU    {name} (Ctrl-] ends it)"));
    shell::attach(&mut lab, &[name], true)?;
    match lab.daemon(&format!("xl-{name}")).contains("reason code 3") {
        true => bail!("{name} crashed\n{}", lab.excerpts()),
        false => Ok(()),
    }
}

/// A domU of this name, with a command line.
fn configuration(name: &str, arguments: &str) -> String {
    let arguments = arguments.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "name = \"{name}\"\ntype = \"pv\"\nkernel = \"{name}\"\nmemory = 8\nvcpus = 1\nextra = \"{arguments}\"\n\
         on_reboot = \"destroy\"\non_crash = \"destroy\"\n"
    )
}

/// Xen has said its last word: after a crash it waits for five seconds, after a poweroff it halts for ever.
fn over(console: &Console) -> bool {
    let xen = console.xen();
    judge::crashed(&xen) || xen.iter().any(|line| line.starts_with("Hardware Dom0 halted"))
}
