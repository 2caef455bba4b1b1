// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests with a shell, in a world that a test can type into.

#![allow(dead_code, reason = "each test file uses some of it")]

pub mod said;

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::rc::Rc;
use std::task::Poll;

use embassy_futures::join::join;
use embassy_futures::select::select;
use fake_xen::{Config, Guest, Task, World};
use log::LevelFilter;
use tasks::{CrashKind, DemoPlan, HeapUsage, Machine, shell};

/// Nanoseconds per millisecond; Xen counts in nanoseconds.
pub const MS: u64 = 1_000_000;
/// Milliseconds per second; tests pause in milliseconds.
pub const SEC: u64 = 1000;
/// The results of the demo's granter and mapper when all goes well.
pub const DEMO_OK: [&str; 2] =
    ["ok demo granter passed=7 failed=0", "ok demo mapper passed=7 failed=0"];

/// A machine that records the calls it gets.
#[derive(Clone, Debug, Default)]
pub struct Notes(Rc<RefCell<Vec<String>>>);

impl Notes {
    fn add(&self, note: impl Debug) {
        self.0.borrow_mut().push(format!("{note:?}"));
    }

    pub fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

impl Machine for Notes {
    fn mode(&self) -> &'static str {
        "pv"
    }

    fn heap(&self) -> HeapUsage {
        HeapUsage { used: 1000, free: 2000 }
    }

    fn stack(&self) -> u64 {
        3000
    }

    fn cpu(&self) -> u64 {
        1_900_000
    }

    fn set_log_level(&self, level: LevelFilter) {
        self.add(level);
    }

    fn demo_plan(&self) -> DemoPlan {
        DemoPlan { trips: 50, bytes: 256 << 10 }
    }

    fn poweroff(&self) {
        self.add("poweroff");
    }

    fn reboot(&self) {
        self.add("reboot");
    }

    fn crash(&self, kind: CrashKind) {
        self.add(kind);
    }
}

/// A guest that can run the shell, and whoever is at its console.
#[derive(Debug)]
pub struct ShellGuest {
    guest: Guest,
    pub notes: Notes,
}

impl Deref for ShellGuest {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        &self.guest
    }
}

impl ShellGuest {
    pub fn new(world: &World, domid: u16) -> Self {
        Self::with(world, domid, Config::default())
    }

    pub fn with(world: &World, domid: u16, config: Config) -> Self {
        Self { guest: world.guest(domid, config), notes: Notes::default() }
    }

    /// Domain 1, alone in a world.
    pub fn alone() -> Self {
        Self::new(&World::new(), 1)
    }

    /// The only domain of a world, of this size.
    pub fn alone_with(domid: u16, config: Config) -> Self {
        Self::with(&World::new(), domid, config)
    }

    /// Runs the shell to its end, with nobody at the console.
    pub fn run(&self, line: &str) {
        self.run_beside(line, async {});
    }

    /// The same, with somebody acting at the console.
    pub fn run_beside(&self, line: &str, beside: impl Future<Output = ()>) {
        self.xen.world().run([self.task(line, beside)]);
    }

    /// What a kernel runs: the shell, and the upkeep until it ends.
    async fn shell(&self, line: &str) {
        let shell = shell::run(self.services.clone(), self.notes.clone(), line);
        select(shell, self.services.upkeep()).await;
    }

    /// Runs the shell, with a person or a program acting at the console.
    pub fn task<'a>(&'a self, line: &'a str, beside: impl Future<Output = ()> + 'a) -> Task<'a> {
        Task::new(&self.services.events, async {
            join(self.shell(line), beside).await;
        })
    }

    /// Runs the shell for a number of polls; then the domain is destroyed, and none of its code
    /// runs any more, not even a drop.
    pub fn mortal_task<'a>(
        &'a self,
        line: &'a str,
        polls: usize,
        died: &'a Cell<bool>,
    ) -> Task<'a> {
        let mut left = polls;
        let over = move || {
            died.set(left == 0);
            left = left.saturating_sub(1);
            died.get()
        };
        self.task_until(line, over)
    }

    /// Runs the shell until `over` says so; then the domain is destroyed in the same way.
    pub fn task_until<'a>(
        &'a self,
        line: &'a str,
        mut over: impl FnMut() -> bool + 'a,
    ) -> Task<'a> {
        let mut shell = Some(Box::pin(self.shell(line)));
        let life = poll_fn(move |cx| {
            let Some(living) = &mut shell else {
                return Poll::Ready(());
            };
            if over() {
                std::mem::forget(shell.take());
                self.xen.world().destroy(self.xen.domid());
                return Poll::Ready(());
            }
            living.as_mut().poll(cx)
        });
        Task::new(&self.services.events, life)
    }

    /// Types, and waits until the output from here on contains `answer`; returns the output up to
    /// it.
    pub async fn ask(&self, typed: &str, answer: &str) -> String {
        let from = self.xen.console_output().len();
        self.xen.console_type(typed);
        self.expect_from(from, answer).await
    }

    /// Waits until `answer` was printed; returns everything before it and the rest of its line.
    pub async fn expect(&self, answer: &str) -> String {
        self.expect_from(0, answer).await
    }

    async fn expect_from(&self, from: usize, answer: &str) -> String {
        for _ in 0..20_000 {
            let output = self.xen.console_output();
            if let Some(at) = output[from..].find(answer) {
                let end = from + at + answer.len();
                if let Some(rest) = output[end..].find('\n') {
                    return output[from..end + rest].replace('\r', "");
                }
                if answer.ends_with(' ') {
                    return output[from..].replace('\r', "");
                }
            }
            self.pause(1).await;
        }
        panic!("{answer:?} was not printed: {:?}", self.xen.console_output());
    }

    pub async fn pause(&self, ms: u64) {
        self.system.sleep_until(self.system.now() + ms * MS).await;
    }

    /// Asserts that nothing is left of it.
    pub fn end(self) {
        self.services.gntalloc.reap(u32::MAX);
        let Guest { xen, services } = self.guest;
        drop(services);
        xen.assert_clean();
    }

    /// Everything printed, by line.
    pub fn lines(&self) -> Vec<String> {
        self.xen.console_output().lines().map(str::to_owned).collect()
    }

    /// The lines with this prefix.
    pub fn lines_of(&self, beginning: &str) -> Vec<String> {
        self.lines().into_iter().filter(|line| line.starts_with(beginning)).collect()
    }

    /// All result lines.
    pub fn results(&self) -> Vec<String> {
        let is_result = |line: &String| line.starts_with("ok ") || line.starts_with("error ");
        self.lines().into_iter().filter(is_result).collect()
    }
}

/// The value of a key in a result line.
pub fn value<'a>(line: &'a str, key: &str) -> &'a str {
    let word = line.lines().last().unwrap_or_default();
    let mut words = word.split(' ').filter_map(|word| word.split_once('='));
    let found = words.find(|(name, _)| *name == key);
    found.unwrap_or_else(|| panic!("{line:?} has no {key}")).1
}

/// A world with two guests, domains 1 and 2: a granter and a mapper, or whatever they are called.
pub fn pair() -> (World, ShellGuest, ShellGuest) {
    let world = World::new();
    let (one, two) = (ShellGuest::new(&world, 1), ShellGuest::new(&world, 2));
    (world, one, two)
}

/// Runs a script in a fresh domain; returns the result lines except the last, poweroff's.
pub fn script(commands: &str) -> Vec<String> {
    let guest = ShellGuest::alone();
    guest.run(&format!("-- {commands}; poweroff"));
    let mut results = guest.results();
    assert_eq!(results.pop().as_deref(), Some("ok poweroff"));
    assert_eq!(guest.notes.all().last().map(String::as_str), Some("\"poweroff\""));
    guest.end();
    results
}

/// The one result line of one command.
pub fn one(command: &str) -> String {
    let results = script(command);
    assert_eq!(results.len(), 1, "{results:?}");
    results[0].clone()
}

/// The errno and status of a failing command's one line.
pub fn refusal(command: &str) -> String {
    of_error(&one(command))
}

/// Errno and status of an error line.
pub fn of_error(line: &str) -> String {
    assert!(line.starts_with("error "), "{line}");
    format!("{} {}", value(line, "errno"), value(line, "status"))
}
