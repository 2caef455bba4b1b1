// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tiers: everything that is checked on a real Xen.
//!
//! To add a tier, add its file to this folder, its `mod` and row here, and its row in
//! docs/testing.md. The command line with its help and errors, `test` and `soak` all use the row. A
//! tier that can't run counts as one failed check, and doesn't stop the others.

mod across; // our guest and Linux's devices share pages
mod bench; // what each operation costs, in instructions
mod conformance; // our devices compared with Linux's, line by line
mod exhaustion; // using up grants, mappings, event channels and memory
mod extent; // how much of a tier is run, and on which hypervisor
mod hostile; // a hostile guest, and what it must not be able to harm
mod leaks; // cycles of sharing and killed peers leave nothing behind
mod matrix; // other hosts: later and earlier Debian releases
mod model; // random calls on a real Xen, compared with the model
mod newcomer; // a new user's guest, outside the repository
mod pair; // everything that needs xl and two guests
mod pvh; // the same image as PVH guests
mod smoke; // boots and crashes of a guest in dom0's place
mod vault; // an ssh-agent in a guest, used by OpenSSH
mod vchan; // byte channels, also with C's libxenvchan
mod web; // an HTTP server in a guest, and curl that fetches its page
mod xl; // what a toolstack asks of a guest and does to it

use anyhow::{Result, bail, ensure};

pub use self::extent::{Extent, Run};
use crate::guests::image;
use crate::host::children;
use crate::host::steps::{clocked, say};
use crate::judge::record;
use crate::judge::tally::Tally;
use crate::lab::Mode;

/// A tier.
pub struct Tier {
    /// The command that runs it.
    pub name: &'static str,
    /// What it does, for the help text.
    pub about: &'static str,
    /// How much `test` runs of it, in words.
    pub small: &'static str,
    /// How much `soak` and `--full` run of it, in words; `None` if that is the same.
    pub full: Option<&'static str>,
    /// Whether it can be run with PVH guests: not where a guest maps its own pages.
    pub pvh: bool,
    /// An option that has it do one thing of many.
    pub choice: Option<Choice>,
    /// Runs it, with a built image.
    run: fn(&Run) -> Result<Tally>,
}

/// An option, mostly with a name behind it.
pub struct Choice {
    /// The option, without dashes.
    pub option: &'static str,
    /// What it does, for the help.
    pub about: &'static str,
    /// The names that there are; `None` if the option stands alone.
    pub names: Option<fn() -> Result<Vec<String>>>,
    /// Whether a number may follow a name, behind a `/`.
    numbered: bool,
}

impl Choice {
    /// The name that was typed, if there is such a one.
    ///
    /// # Errors
    /// One line with the names, if not.
    pub fn of(&self, typed: &str) -> Result<String> {
        let names = self.names.map_or(Ok(Vec::new()), |names| names())?;
        let option = self.option;
        let (name, number) = match typed.split_once('/') {
            Some((name, number)) if self.numbered => (name, number),
            _ => (typed, "0"),
        };
        let known = names.iter().any(|known| known == name) && number.parse::<u32>().is_ok();
        ensure!(known, "no {option} `{typed}`; there is {}", names.join(", "));
        Ok(typed.to_owned())
    }
}

/// All tiers, in the order in which they run.
pub const TIERS: &[Tier] = &[
    Tier {
        name: "smoke",
        about: "One guest in dom0's place: self-test, and every crash that must leave a dump",
        small: "all",
        full: None,
        pvh: false,
        choice: None,
        run: smoke::run,
    },
    Tier {
        name: "newcomer",
        about: "A crate made by `new`, outside the repository: built, tested and booted",
        small: "all",
        full: None,
        pvh: false,
        choice: None,
        run: newcomer::run,
    },
    Tier {
        name: "model",
        about: "Random calls of a guest that grants to itself, compared with the reference model",
        small: "100,000 calls",
        full: Some("1,000,000"),
        pvh: false,
        choice: None,
        run: model::run,
    },
    Tier {
        name: "bench",
        about: "What each operation costs, in instructions and hypercalls, next to Xen's own share",
        small: "all",
        full: None,
        pvh: false,
        choice: Some(bench::CHOICE),
        run: bench::run,
    },
    Tier {
        name: "pair",
        about: "The demo in both orders, and what xl does to a guest: pause, reboot, crash",
        small: "once",
        full: Some("5 times"),
        pvh: true,
        choice: None,
        run: pair::run,
    },
    Tier {
        name: "xl",
        about: "What xl asks of a guest: halt, crash, suspend, sysrq, ...; and a long pause",
        small: "a pause of 3 s",
        full: Some("of 60 s"),
        pvh: true,
        choice: None,
        run: xl::run,
    },
    Tier {
        name: "pvh",
        about: "The same image as PVH guests: the demo, the self-test, crashes, and what xl does",
        small: "once",
        full: Some("5 times, with save, migrate and a pause of 60 s"),
        pvh: false,
        choice: None,
        run: pvh::run,
    },
    Tier {
        name: matrix::NAME,
        about: "Other hosts: Debian's Xen 4.14, 4.17 and 4.20, each with its own xl and Linux",
        small: "Debian 13",
        full: Some("all rows"),
        pvh: false,
        choice: Some(matrix::CHOICE),
        run: matrix::run,
    },
    Tier {
        name: "conformance",
        about: "The same scenarios on Linux's grant devices and on ours, compared line by line",
        small: "all",
        full: None,
        pvh: false,
        choice: None,
        run: conformance::run,
    },
    Tier {
        name: "exhaustion",
        about: "The last grant, mapping, event channel and page of memory; 1 MiB of output",
        small: "2 rounds",
        full: Some("10 rounds"),
        pvh: false,
        choice: None,
        run: exhaustion::run,
    },
    Tier {
        name: "leaks",
        about: "Cycles of sharing, and peers killed at random moments: nothing is left behind",
        small: "1,000 cycles, 5 kills per role",
        full: Some("10,000, 100 per role"),
        pvh: false,
        choice: None,
        run: leaks::run,
    },
    Tier {
        name: "across",
        about: "Our guest and Linux's grant devices share pages, whatever happens to either",
        small: "once",
        full: Some("5 times"),
        pvh: true,
        choice: None,
        run: across::run,
    },
    Tier {
        name: "vchan",
        about: "Byte channels: two guests, a guest and C's libxenvchan, and vchan-linux with both",
        small: "once",
        full: Some("5 times"),
        pvh: true,
        choice: None,
        run: vchan::run,
    },
    Tier {
        name: "vault",
        about: "An ssh-agent in a guest: OpenSSH in dom0 adds keys to it and logs in with them",
        small: "all",
        full: None,
        pvh: true,
        choice: None,
        run: vault::run,
    },
    Tier {
        name: "web",
        about: "An HTTP server in a guest: curl in dom0 fetches a live page, a browser looks at it",
        small: "all",
        full: None,
        pvh: true,
        choice: Some(web::CHOICE),
        run: web::run,
    },
    Tier {
        name: "hostile",
        about: "A hostile guest, and two that it must not be able to harm: one line for each attack",
        small: "once",
        full: Some("twice"),
        pvh: true,
        choice: None,
        run: hostile::run,
    },
];

impl Tier {
    /// How much its command runs; the matrix always runs in full, since that is its point.
    pub fn extent(&self, full: bool) -> Extent {
        if full || self.name == matrix::NAME { Extent::Full } else { Extent::Small }
    }

    /// `./run.sh <tier>`
    pub fn command(&self, run: &Run) -> Result<()> {
        record::tier(self.name);
        image::build()?;
        (self.run)(run)?.verdict(self.name)
    }
}

/// The tier whose guests run at the same time, on two processors.
const ON_TWO: &str = "hostile";

/// Runs all tiers with a built image, and prints their results. Before a tier that needs both
/// processors, calls `wait`, which waits for whatever else is running.
pub fn run_all(extent: Extent, wait: &mut dyn FnMut()) -> Result<Tally> {
    let this = Run { extent, xen: None, mode: Mode::Pv, choice: None };
    let mut all = Tally::default();
    let mut lines = Vec::new();
    for Tier { name, run, .. } in TIERS {
        if *name == ON_TWO {
            wait();
        }
        say(&format!("tier    {name}"));
        record::tier(name);
        let (result, seconds) = clocked(name, || run(&this));
        if children::interrupted() {
            bail!("interrupted");
        }
        let tally = result.unwrap_or_else(|error| {
            say(&format!("FAILED  {name}: {error:#}"));
            record::check("the whole tier", seconds, Err(format!("{error:#}")));
            Tally { passed: 0, failed: 1 }
        });
        all.add(tally);
        lines.push(format!(
            "  {name:<14}{:>4} passed, {} failed in {seconds:.0} s",
            tally.passed, tally.failed
        ));
    }
    lines.iter().for_each(|line| say(line));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::paths;

    /// The name and extents of each tier in the table of docs/testing.md.
    fn documented(text: &str) -> Vec<[String; 3]> {
        let rows = text.lines().skip_while(|line| !line.starts_with("| tier |"));
        let cells = |row: &str| -> Vec<String> { row.split('|').map(plain).collect() };
        let rows = rows.skip(2).take_while(|line| line.starts_with('|')).map(cells);
        let tiers = rows.filter(|cells| cells[1] != "host");
        tiers.map(|cells| [cells[1].clone(), cells[4].clone(), cells[5].clone()]).collect()
    }

    fn plain(cell: &str) -> String {
        cell.trim().trim_matches('`').to_owned()
    }

    #[test]
    fn the_documentation_has_the_same_tiers_with_the_same_extents() {
        let text = std::fs::read_to_string(paths::root().join("docs/testing.md")).unwrap();
        let table = TIERS.iter().map(|tier| {
            [tier.name, tier.small, tier.full.unwrap_or(tier.small)].map(str::to_owned)
        });
        assert_eq!(documented(&text), table.collect::<Vec<_>>());
    }
}
