// SPDX-License-Identifier: MIT OR Apache-2.0
//! How and when a victim is killed.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::guests::config::Settings;
use crate::guests::life;
use crate::host::random::Draw;
use crate::judge::demo;
use crate::lab::{Lab, PATIENCE};

/// How long the steps before a kill may take.
const STEPS: Duration = Duration::from_secs(90);
/// A step (0 for none), and at most how many milliseconds after it a victim is killed: about as
/// long as the next step takes.
const MOMENTS: [(u32, u64); 7] =
    [(0, 1200), (1, 100), (2, 3000), (3, 3000), (4, 150), (5, 150), (6, 300)];

/// How a victim is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// `xl destroy`.
    Destroy,
    /// It crashes when a key is typed, for which lab/trials/src/bin/mortal.rs waits while it runs
    /// the demo; then `on_crash` destroys it.
    Crash,
    /// `xl pause` until the survivor gives it up, and then `xl destroy`.
    Pause,
}

/// The means of the first five kills, and of every five after them.
const MEANS: [Means; 5] =
    [Means::Destroy, Means::Crash, Means::Destroy, Means::Pause, Means::Destroy];

/// One kill.
pub struct Kill {
    /// How the victim is killed.
    pub means: Means,
    /// The step that the victim has reported before; 0 for none.
    step: u32,
    /// The time after that step.
    delay: Duration,
    /// Whether a surviving mapper is not interrupted, and finds the next granter by itself.
    pub looks_on: bool,
}

impl Kill {
    /// Draws kill number `number`.
    pub fn draw(number: u32, draw: &mut Draw) -> Kill {
        let (step, delay) = MOMENTS[draw.below(MOMENTS.len() as u64) as usize];
        Kill {
            means: MEANS[number as usize % MEANS.len()],
            step,
            delay: Duration::from_millis(draw.below(delay)),
            looks_on: draw.below(2) == 0,
        }
    }

    /// Waits for its moment, and returns whether the victim was then in the middle of a run.
    pub fn wait(&self, lab: &mut Lab, victim: &str) -> Result<bool> {
        let told = |lab: &Lab| {
            let lines = lab.lines(victim);
            (self.step == 0 || demo::told(self.step, &lines)).then_some(())
        };
        lab.until(STEPS, told)
            .with_context(|| format!("{victim} did not reach step {}", self.step))?;
        let moment = Instant::now() + self.delay;
        while Instant::now() < moment {
            lab.step(moment)?;
        }
        let lines = lab.lines(victim);
        Ok(demo::told(1, &lines) && !demo::over(&lines))
    }

    /// Kills the victim; the time of its end is when its toolstack began to destroy the domain.
    pub fn end(&self, lab: &mut Lab, victim: &str) -> Result<Ended> {
        if self.means == Means::Crash {
            lab.type_on(victim, b"x")?;
            life::crashed(lab, victim)?;
            return Ok(Ended { at: Instant::now(), program: None });
        }
        // Only with -vvv does xl say when it turns to the domain itself.
        let program = lab.start(&["xl", "-vvv", "destroy", victim])?;
        let begun = |lab: &Lab| lab.output(program).contains("for destroy of domain").then_some(());
        lab.until(PATIENCE, begun).context("xl does not destroy it")?;
        Ok(Ended { at: Instant::now(), program: Some(program) })
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let means = match self.means {
            Means::Destroy => "destroyed",
            Means::Crash => "crashed",
            Means::Pause => "paused, then destroyed,",
        };
        let (delay, step) = (self.delay.as_millis(), self.step);
        match step {
            0 => write!(f, "{means} {delay} ms after its start"),
            _ => write!(f, "{means} {delay} ms after step {step}"),
        }
    }
}

/// A kill in progress.
pub struct Ended {
    /// When it began.
    pub at: Instant,
    program: Option<u32>,
}

impl Ended {
    /// Waits until the toolstack is done.
    pub fn finish(&self, lab: &mut Lab) -> Result<()> {
        self.program.map_or(Ok(()), |program| lab.finish(program).map(drop))
    }
}

/// Creates a victim, and returns its domid.
pub fn create(lab: &mut Lab, victim: &str, means: Means) -> Result<u32> {
    match means {
        Means::Crash => {
            let part = Settings::none().extra(&format!("part={victim}"));
            life::create(lab, victim, "mortal", &part)
        }
        _ => life::create(lab, victim, victim, &Settings::none().on_crash("destroy")),
    }
}
