//! A guest by its name, with the console on the terminal: in dom0's place, or as a domU of the lab.
//!
//! Xen's own lines go to the log only. The run is a person's, so it has no time limit: Ctrl-C ends
//! it. It fails unless the guest ended by itself, with reboot or poweroff, and not by crashing.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Arg, ArgAction, ArgMatches};

use super::attach::attach;
use crate::guests::config::{self, Settings};
use crate::guests::image;
use crate::host::paths;
use crate::host::steps::{say, step};
use crate::host::terminal::Terminal;
use crate::judge::crash;
use crate::lab::alone::{Boot, End, Machine};
use crate::lab::console::Console;
use crate::lab::{Lab, dom0, qemu};

/// Longer than any terminal stays open.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What follows the word.
pub fn arguments() -> Vec<Arg> {
    let name = Arg::new("name").value_name("NAME").required(true);
    let domu = Arg::new("domu").long("domu").action(ArgAction::SetTrue);
    let words = Arg::new("words").value_name("WORDS").num_args(0..).last(true);
    vec![
        name.help("The file is kernel/examples/NAME.rs or lab/trials/src/bin/NAME.rs"),
        domu.help("Start it with xl under a Linux dom0, not in dom0's place"),
        words.help("The guest's command line"),
    ]
}

/// `./run.sh run <name> [--domu] [-- <words>]`
pub fn command(matches: &ArgMatches) -> Result<()> {
    let name = matches.get_one::<String>("name").map_or("", String::as_str);
    match matches.get_flag("domu") {
        true => domu(name, &words(matches)),
        false => alone(name, &words(matches)),
    }
}

/// The guest's command line.
pub fn words(matches: &ArgMatches) -> String {
    let words = matches.get_many::<String>("words").into_iter().flatten();
    words.map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn alone(name: &str, arguments: &str) -> Result<()> {
    let kernel = image::guest(name)?;
    let xen = step("prepare Xen", || qemu::prepare(None))?;
    let log = format!("run-{name}");
    say(&format!(
        "boot    {name} (Ctrl-C ends it; Xen's lines are in {})",
        paths::shown(&paths::lab().join(format!("{log}.log")))
    ));
    let _terminal = Terminal::keep();
    let boot = Boot { xen: &xen, options: "", kernel: &kernel, arguments, log: &log, exact: false };
    // Only a process of the terminal's foreground group may read it.
    let mut machine = Machine::boot_in_foreground(&boot)?;
    let mut out = std::io::stdout();
    let end = machine.run(A_YEAR, over, |bytes| {
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    })?;
    match end {
        End::Seen if !crash::crashed(&machine.console().xen()) => Ok(()),
        end => end.by_itself().or_else(|why| bail!("{name}: {why}\n{}", machine.excerpt())),
    }
}

fn domu(name: &str, arguments: &str) -> Result<()> {
    let settings = Settings::none().memory(8).extra(arguments).text("on_reboot", "destroy");
    let dom0 = dom0::prepare(&config::files(name, settings.on_crash("destroy"))?, None)?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, "run", ""))?;
    lab.xl(&["create", &format!("{name}.cfg")])?; // it may have ended before its domid is asked for
    say(&format!("domU    {name} (Ctrl-] ends it)"));
    attach(&mut lab, &[name], true)?;
    match lab.crashed(name) {
        true => bail!("{name} crashed\n{}", lab.excerpts()),
        false => Ok(()),
    }
}

/// Xen has said its last word: after a crash it waits for five seconds, after a poweroff it halts
/// for ever.
fn over(console: &Console) -> bool {
    let xen = console.xen();
    crash::crashed(&xen) || xen.iter().any(|line| line.starts_with("Hardware Dom0 halted"))
}
