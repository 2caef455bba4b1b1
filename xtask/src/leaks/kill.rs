//! How and when a victim is ended.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Draw, view};
use crate::lab::{Lab, PATIENCE};
use crate::proof;

/// What the steps up to one may take.
const STEPS: Duration = Duration::from_secs(90);
/// A step, 0 for none, and at most how many milliseconds behind it a victim is ended: about what the next step takes.
const MOMENTS: [(usize, u64); 7] =
    [(0, 1200), (1, 100), (2, 3000), (3, 3000), (4, 150), (5, 150), (6, 300)];

/// What ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// `xl destroy`.
    Destroy,
    /// It crashes at a key, which lab/trials/src/bin/mortal.rs waits for beside the demo; `on_crash` destroys it then.
    Crash,
    /// `xl pause`, until the survivor gives it up, and then `xl destroy`.
    Pause,
}

/// The first five kills are of these means, and so on.
const MEANS: [Means; 5] =
    [Means::Destroy, Means::Crash, Means::Destroy, Means::Pause, Means::Destroy];

/// One kill.
pub struct Kill {
    /// What ends it.
    pub means: Means,
    /// The step that it has told of before; 0 for none.
    step: usize,
    /// The time since.
    delay: Duration,
    /// A mapper that survives is not interrupted, and finds the next by itself.
    pub looks_on: bool,
}

impl Kill {
    /// The kill with this number.
    pub fn draw(number: u32, draw: &mut Draw) -> Kill {
        let (step, delay) = MOMENTS[draw.below(MOMENTS.len() as u64) as usize];
        Kill {
            means: MEANS[number as usize % MEANS.len()],
            step,
            delay: Duration::from_millis(draw.below(delay)),
            looks_on: draw.below(2) == 0,
        }
    }

    /// Waits for its moment. Whether the victim was in the middle of a run then.
    pub fn wait(&self, lab: &mut Lab, victim: &str) -> Result<bool> {
        let told = |lab: &Lab| {
            let lines = lab.lines(victim);
            (self.step == 0 || proof::told(self.step, &lines)).then_some(())
        };
        lab.until(STEPS, told).with_context(|| format!("{victim} made no step {}", self.step))?;
        let moment = Instant::now() + self.delay;
        while Instant::now() < moment {
            lab.step(moment)?;
        }
        let lines = lab.lines(victim);
        Ok(proof::told(1, &lines) && !proof::over(&lines))
    }

    /// Ends it; the moment is when its toolstack began to destroy the domain.
    pub fn end(&self, lab: &mut Lab, victim: &str) -> Result<Ended> {
        if self.means == Means::Crash {
            lab.type_on(victim, b"x")?;
            let log = format!("xl-{victim}");
            let sign = |lab: &Lab| {
                lab.daemon(&log).contains("Action for shutdown reason code 3").then_some(())
            };
            lab.until(PATIENCE, sign).context("it did not crash")?;
            return Ok(Ended { at: Instant::now(), program: None });
        }
        // Only a talkative xl tells when it comes to the domain itself.
        let program = lab.start(&["xl", "-vvv", "destroy", victim])?;
        let begun = |lab: &Lab| lab.output(program).contains("for destroy of domain").then_some(());
        lab.until(PATIENCE, begun).context("xl destroys nothing")?;
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

/// An end that has begun.
pub struct Ended {
    /// When.
    pub at: Instant,
    program: Option<u32>,
}

impl Ended {
    /// Waits until the toolstack is done.
    pub fn finish(&self, lab: &mut Lab) -> Result<()> {
        self.program.map_or(Ok(()), |program| lab.finish(program).map(drop))
    }
}

/// Creates a victim; its number.
pub fn create(lab: &mut Lab, victim: &str, means: Means) -> Result<u32> {
    let (name, part) = (format!("name=\"{victim}\""), format!("extra=\"part={victim}\""));
    match means {
        Means::Crash => lab.xl(&["create", "mortal.cfg", &name, &part])?,
        _ => lab.xl(&["create", &format!("{victim}.cfg"), "on_crash=\"destroy\""])?,
    };
    lab.domid(victim)?.with_context(|| format!("no {victim}"))
}

/// Destroys a guest, if it is there.
pub fn clear(lab: &mut Lab, guest: &str) -> Result<()> {
    let Some(domid) = lab.domid(guest)? else { return Ok(()) };
    lab.xl(&["destroy", guest])?;
    view::gone(lab, domid)?;
    forget(lab, guest)
}

/// Forgets what a guest said, once its toolstack has had its last word.
pub fn forget(lab: &mut Lab, guest: &str) -> Result<()> {
    let ended = |lab: &Lab| lab.ended(guest).then_some(());
    lab.until(PATIENCE, ended).with_context(|| format!("xl still minds {guest}"))?;
    lab.forget(guest);
    Ok(())
}
