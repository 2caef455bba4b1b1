//! The shell: one front door, for people at the console and for programs alike.
//!
//! The script of the kernel command line runs first, then what is typed. Every command ends in
//! exactly one line, `ok <command> key=value ...` or `error <command> errno=.. status=.. words`,
//! at the start of a line of its own. A failing command ends nothing but itself.
//!
//! The console is read beside the commands, in the same task: what is typed while one runs is
//! kept for later, and a Ctrl-C ends a wait at once.

pub mod args;
mod commands;
mod editor;
mod history;
mod input;
mod objects;
mod options;
mod reply;
mod session;
mod table;

use alloc::vec::Vec;
use core::fmt::Write;
use core::pin::Pin;

use drivers::events::Port;
use drivers::memory::Platform;
use drivers::{Errno, Error, Services};
use embassy_futures::select::{Either, Either3, select, select3};

use self::args::Args;
pub use self::args::{first_word, number};
use self::input::Input;
use self::objects::Objects;
use self::reply::{Done, Failure};
use self::table::Found;
use crate::demo::Granter;
use crate::manners;
use crate::text::Text;
use crate::{CrashKind, Machine};

/// How long the end waits for a console that nobody reads: 2 s.
const DRAIN_NS: u64 = 2_000_000_000;
/// How long a map or its state waits for xenstore.
const SIGHT_MS: u64 = 1_000;

/// Runs the shell: applies the options of `command_line`, runs its script, then what is typed.
///
/// Returns only where a method of `machine` that ends the guest does, as in tests.
pub async fn run<X: Platform, M: Machine>(services: Services<X>, machine: M, command_line: &str) {
    let input = Input::new();
    let console = services.console.clone();
    let (granter, plan) = (Granter::new(), machine.demo_plan());
    let mut shell = Shell::new(services.clone(), machine, &input, &granter);
    shell.say_ready();
    let beside = select(input.pump(&console), granter.serve(&services, plan));
    let first = select3(shell.session(command_line), manners::mind(&services), beside).await;
    if let Either3::Second(ending) = first {
        shell.ending = Some(ending);
        shell.ended();
    }
}

/// How the guest is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Poweroff,
    Reboot,
    Crash(CrashKind),
}

/// The state that commands work on.
#[derive(Debug)]
struct Shell<'a, X: Platform, M> {
    services: Services<X>,
    machine: M,
    input: &'a Input,
    granter: &'a Granter,
    objects: Objects<X>,
    /// Ports that were opened here.
    ports: Vec<Port<X>>,
    /// The handle that maps, and the limit it was opened with.
    gntdev: Option<(u32, drivers::gntdev::Handle<X>)>,
    /// Xen's time when the shell was started.
    started: u64,
    ending: Option<Ending>,
}

impl<'a, X: Platform, M: Machine> Shell<'a, X, M> {
    fn new(services: Services<X>, machine: M, input: &'a Input, granter: &'a Granter) -> Self {
        Self {
            started: services.xen.now(),
            services,
            machine,
            input,
            granter,
            objects: Objects::new(),
            ports: Vec::new(),
            gntdev: None,
            ending: None,
        }
    }

    /// Says what the boot took of the processor: other guests' time is none of it.
    fn say_ready(&self) {
        let (mut line, us) = (Text::new(), self.machine.cpu() / 1_000);
        // Without memory for a line there is none.
        if write!(line, "ready after {}.{} ms of cpu", us / 1_000, us % 1_000 / 100).is_ok() {
            self.services.console.line_now(line.as_str());
        }
    }

    /// Runs one command, and says how it ended.
    async fn execute(&mut self, line: &str) {
        let mut ok = Text::new();
        match table::find(line) {
            Found::Command(command, rest) => {
                let mut args = Args::new(command, rest);
                let begun = write!(ok, "ok {}", command.name).map_err(Failure::from);
                let done = match begun {
                    Ok(()) => commands::run(self, command, &mut args, &mut ok).await,
                    Err(failure) => Err(failure),
                };
                self.finish(command.name, ok, done).await;
            }
            Found::Group(word) => {
                let failure = commands::not_in_group(word);
                self.finish(word, ok, Err(failure)).await;
            }
            Found::Unknown("") => {}
            Found::Unknown(word) => {
                let failure = commands::unknown(word);
                self.finish(word, ok, Err(failure)).await;
            }
        }
    }

    /// Prints the one line that a command ends with.
    async fn finish(&self, command: &str, mut line: Text, done: Done) {
        let written = match done {
            Ok(()) => line.write_str("\n"),
            Err(failure) => {
                line = Text::new();
                failure.write_line(&mut line, command)
            }
        };
        self.start_line().await;
        let console = &self.services.console;
        match written {
            Ok(()) => console.print(line.as_str().as_bytes()).await,
            // Not even memory for the line: in pieces, then.
            Err(_) => {
                for piece in ["error ", command, " errno=ENOMEM status=- out of memory\n"] {
                    console.print(piece.as_bytes()).await;
                }
            }
        }
    }

    /// Goes to the start of a line.
    async fn start_line(&self) {
        if !self.services.console.at_line_start() {
            self.services.console.print(b"\n").await;
        }
    }

    /// Ends the guest, if a command asked for it; whether it did, for machines that go on.
    fn ended(&mut self) -> bool {
        let Some(ending) = self.ending.take() else {
            return false;
        };
        if !matches!(ending, Ending::Crash(_)) {
            // Peers are told what they asked to be told.
            self.objects.clear();
            self.ports.clear();
        }
        // What is still in the ring when the guest ends is lost.
        let deadline = self.services.xen.now() + DRAIN_NS;
        self.services.console.drain(deadline);
        match ending {
            Ending::Poweroff => self.machine.poweroff(),
            Ending::Reboot => self.machine.reboot(),
            Ending::Crash(kind) => self.machine.crash(kind),
        }
        true
    }

    /// Waits for `until`, at most `ms` milliseconds if they are given, and no longer than until a
    /// Ctrl-C.
    async fn wait(&self, ms: Option<u64>, until: Pin<&mut dyn Future<Output = ()>>) -> Done {
        let late = async {
            match ms {
                Some(ms) => self.sleep(ms).await,
                None => core::future::pending().await,
            }
        };
        match select(select(until, late), self.input.interrupted()).await {
            Either::First(Either::First(())) => Ok(()),
            Either::First(Either::Second(())) => Err(Failure::new(
                Errno::ETIMEDOUT,
                format_args!("waited {} ms", ms.unwrap_or_default()),
            )),
            Either::Second(()) => Err(Failure::new(Errno::EINTR, format_args!("interrupted"))),
        }
    }

    /// Whether a peer's state can be read in xenstore; `None` if that is not known in time.
    async fn sees(&self, peer: u16) -> Option<bool> {
        let sees = manners::is_there(&self.services, peer);
        match select3(sees, self.sleep(SIGHT_MS), self.input.interrupted()).await {
            Either3::First(sees) => sees,
            Either3::Second(()) | Either3::Third(()) => None,
        }
    }

    async fn sleep(&self, ms: u64) {
        let xen = &self.services.xen;
        let deadline = xen.now().saturating_add(ms.saturating_mul(1_000_000));
        xen.sleep_until(deadline).await;
    }

    /// A handle that maps, with the limit as it is set now.
    fn gntdev(&mut self) -> Result<&drivers::gntdev::Handle<X>, Error> {
        let limit = self.services.gntdev.limit();
        let opened = match self.gntdev.take() {
            Some(opened) if opened.0 == limit => opened,
            _ => (limit, self.services.gntdev.open()?),
        };
        Ok(&self.gntdev.insert(opened).1)
    }
}
