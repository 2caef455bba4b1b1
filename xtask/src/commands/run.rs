// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boots guests of the user's choice: one in dom0's place or as a domU, several as domUs side by
//! side.
//!
//! Runs are interactive, so there is no time limit: Ctrl-C ends them. A run fails unless every
//! guest ended by itself, by reboot or poweroff and not by crashing. Xen's own lines go only to the
//! log.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::attach::attach;
use crate::guests::config::{self, Settings};
use crate::guests::program::{self, Program};
use crate::host::paths;
use crate::host::steps::{say, step};
use crate::host::terminal::Terminal;
use crate::judge::crash;
use crate::lab::alone::{Boot, End, Machine};
use crate::lab::console::Console;
use crate::lab::{Lab, Mode, dom0, qemu};

/// In effect, no limit.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// The memory of a guest under xl, in MiB.
const MEMORY: u64 = 8;

/// The arguments for each guest.
pub fn arguments() -> Vec<Arg> {
    let guest = Arg::new("guest").value_name("GUEST").required(true);
    let name = Arg::new("name").long("name").value_name("NAME");
    let domu = Arg::new("domu").long("domu").action(ArgAction::SetTrue);
    let pvh = Arg::new("pvh").long("pvh").action(ArgAction::SetTrue);
    let memory = Arg::new("memory").long("memory").value_name("MIB");
    let setting = Arg::new("set").long("set").value_name("KEY=VALUE").action(ArgAction::Append);
    let words = Arg::new("words").value_name("WORDS").num_args(0..).last(true);
    vec![
        guest.help("An example's name (hello, share), a crate's folder, or an ELF file"),
        domu.help("Start it with xl under a Linux dom0, instead of in dom0's place"),
        pvh.help("Have xl create it as a PVH guest; implies --domu"),
        name.help("Its name under xl, by default the file's"),
        memory
            .value_parser(value_parser!(u64).range(1..=256))
            .help("Its memory, by default 16 in dom0's place and 8 under xl"),
        setting.help("An additional xl setting, such as 'vcpus=1'; implies --domu"),
        words.help(
            "The guest's command line. `+ GUEST ...` after it adds a guest; then all run under xl",
        ),
    ]
}

/// The arguments of `boot`: cargo passes an ELF file and the rest verbatim.
pub fn boot_arguments() -> Vec<Arg> {
    let guest = Arg::new("guest").value_name("ELF").required(true);
    let words = Arg::new("words").value_name("WORDS").num_args(0..);
    vec![
        guest.help("The guest's file"),
        words.trailing_var_arg(true).allow_hyphen_values(true).help("Its command line"),
    ]
}

/// The arguments of one more guest, after a `+`.
pub fn one_more() -> Command {
    Command::new("+").no_binary_name(true).args(arguments()).disable_help_flag(true)
}

/// `./run.sh boot <elf> <words>`
pub fn boot(matches: &ArgMatches) -> Result<()> {
    let program = program::find(&text(matches, "guest"))?;
    alone(&program, &words(matches), None)
}

/// `./run.sh run <guest> ... [+ <guest> ...]`
pub fn command(matches: &ArgMatches, more: &[ArgMatches]) -> Result<()> {
    let wishes: Vec<Wish> = [matches].into_iter().chain(more).map(Wish::new).collect();
    match wishes.as_slice() {
        [one] if !one.domu => alone(&program::find(&one.guest)?, &one.words, one.memory),
        all => under_xl(all),
    }
}

/// A guest as asked for on the command line.
struct Wish {
    guest: String,
    name: Option<String>,
    domu: bool,
    mode: Mode,
    memory: Option<u64>,
    settings: Vec<String>,
    words: String,
}

impl Wish {
    fn new(matches: &ArgMatches) -> Self {
        let settings = matches.get_many::<String>("set").into_iter().flatten();
        let settings: Vec<String> = settings.cloned().collect();
        let mode = if matches.get_flag("pvh") { Mode::Pvh } else { Mode::Pv };
        Self {
            guest: text(matches, "guest"),
            name: matches.get_one::<String>("name").cloned(),
            domu: matches.get_flag("domu") || !settings.is_empty() || mode == Mode::Pvh,
            mode,
            memory: matches.get_one("memory").copied(),
            settings,
            words: words(matches),
        }
    }

    fn settings(&self) -> Settings {
        let memory = self.memory.unwrap_or(MEMORY);
        let own = Settings::of(self.mode).memory(memory).extra(&self.words);
        let own = own.text("on_reboot", "destroy").on_crash("destroy");
        self.settings.iter().fold(own, |all, setting| all.raw(setting))
    }
}

/// The guest's command line.
fn words(matches: &ArgMatches) -> String {
    let words = matches.get_many::<String>("words").into_iter().flatten();
    words.map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn text(matches: &ArgMatches, id: &str) -> String {
    matches.get_one::<String>(id).cloned().unwrap_or_default()
}

fn alone(program: &Program, arguments: &str, memory: Option<u64>) -> Result<()> {
    let Program { name, elf } = program;
    let xen = step("prepare Xen", || qemu::prepare(None))?;
    let log = format!("run-{name}");
    say(&format!(
        "boot    {name} (Ctrl-C ends it; Xen's lines are in {})",
        paths::shown(&paths::lab().join(format!("{log}.log")))
    ));
    let _terminal = Terminal::keep();
    // If an option appears twice, Xen takes the last.
    let options = memory.map_or(String::new(), |mib| format!("dom0_mem={mib}M,max:{mib}M"));
    let boot =
        Boot { xen: &xen, options: &options, kernel: elf, arguments, log: &log, exact: false };
    // Only the terminal's foreground process group may read from it.
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

/// Whether Xen has printed its last line; after a crash it then waits for five seconds, after a
/// poweroff it halts for ever.
fn over(console: &Console) -> bool {
    let xen = console.xen();
    crash::crashed(&xen) || xen.iter().any(|line| line.starts_with("Hardware Dom0 halted"))
}

fn under_xl(wishes: &[Wish]) -> Result<()> {
    let (mut names, mut files) = (Vec::new(), Vec::new());
    for wish in wishes {
        let program = program::find(&wish.guest)?;
        let name = wish.name.clone().unwrap_or(program.name);
        files.extend(config::files_of(&name, &program.elf, wish.settings())?);
        names.push(name);
    }
    let different: BTreeSet<_> = names.iter().collect();
    ensure!(
        different.len() == names.len(),
        "two guests have the same name: rename one with --name"
    );
    let dom0 = dom0::prepare(&files, None, Mode::Pv)?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, "run", ""))?;
    for name in &names {
        // No domid is asked for: the guest may already have ended.
        lab.xl(&["create", &format!("{name}.cfg")])
            .with_context(|| format!("{name} does not start"))?;
    }
    let guests: Vec<&str> = names.iter().map(String::as_str).collect();
    match guests[..] {
        [one] => {
            say(&format!("domU    {one} (Ctrl-] ends it)"));
            attach(&mut lab, &guests, true)?;
        }
        _ => {
            say(&format!("domUs   {} (Ctrl-C ends them)", guests.join(", ")));
            side_by_side(&mut lab, &guests)?;
        }
    }
    let crashed: Vec<&str> = guests.into_iter().filter(|guest| lab.crashed(guest)).collect();
    ensure!(crashed.is_empty(), "{} crashed\n{}", crashed.join(" and "), lab.excerpts());
    Ok(())
}

/// Shows the output of all guests, each line after the guest's name, until all have ended.
fn side_by_side(lab: &mut Lab, guests: &[&str]) -> Result<()> {
    let width = guests.iter().map(|guest| guest.len()).max().unwrap_or(0);
    let mut shown = vec![0; guests.len()];
    loop {
        let over = guests.iter().all(|guest| lab.ended(guest));
        for (guest, shown) in guests.iter().zip(&mut shown) {
            let said = &lab.said(guest)[*shown..];
            let whole = said.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let part = if over { said.len() } else { whole };
            String::from_utf8_lossy(&said[..part])
                .lines()
                .for_each(|line| say(&format!("{guest:width$} | {line}")));
            *shown += part;
        }
        if over {
            return Ok(());
        }
        lab.step(Instant::now() + A_YEAR)?;
        if let Some(trouble) = lab.trouble() {
            bail!("dom0: {trouble}");
        }
    }
}
