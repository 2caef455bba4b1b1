// SPDX-License-Identifier: MIT OR Apache-2.0
//! The demo's steps: what each guest must have printed, and how the report shows it.
//!
//! A step is one line on a guest's console: `step <number> <name> <words> ok`, or `step <number>
//! <name> <words> FAILED: <why>`. A step without a line has failed.

use super::reply::{Reply, all_passed};
pub use tasks::demo::{CLEAN, STEPS, SURVIVE};

/// A step's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 1.
    pub number: u32,
    /// What was proved, or why it was not.
    pub outcome: Result<String, String>,
}

impl Step {
    /// Parses a line; `None` if it doesn't report a step.
    pub fn parse(line: &str) -> Option<Step> {
        let (number, rest) = line.strip_prefix("step ")?.split_once(' ')?;
        let number: u32 = number.parse().ok()?;
        let (name, words) = rest.split_once(' ')?;
        if step_name(number)? != name {
            return None;
        }
        let outcome = match (words.split_once("FAILED: "), words.strip_suffix("ok")) {
            (Some((_, why)), _) => Err(why.to_owned()),
            (None, Some(words)) => Ok(words.trim_end().to_owned()),
            (None, None) => return None,
        };
        Some(Step { number, outcome })
    }

    /// The step's name.
    pub fn name(&self) -> &'static str {
        step_name(self.number).unwrap_or("?")
    }

    /// The step's line in the report, at most 80 characters long if it passed.
    pub fn shown(&self) -> String {
        let name = self.name();
        match &self.outcome {
            Ok(words) => format!("  {} {name:<9}{words:<64} ok", self.number),
            Err(why) => format!("  {} {name:<9}FAILED: {why}", self.number),
        }
    }
}

fn step_name(number: u32) -> Option<&'static str> {
    STEPS.get(number.checked_sub(1)? as usize).copied()
}

/// Whether a guest has reported step `number`.
pub fn told(number: u32, lines: &[String]) -> bool {
    lines.iter().filter_map(|line| Step::parse(line)).any(|step| step.number == number)
}

/// The outcome of step `number` from both guests' lines: both must have passed it; the words are
/// the first guest's.
pub fn both(number: u32, lines: [&[String]; 2]) -> Step {
    let name = step_name(number).unwrap_or("?");
    let [first, second] = lines.map(|lines| {
        let mut steps = lines.iter().filter_map(|line| Step::parse(line));
        let step = steps.find(|step| step.number == number);
        step.map_or(Err(format!("no line `step {number} {name} ...`")), |step| step.outcome)
    });
    let second = second.map_err(|why| format!("mapper: {why}"));
    Step { number, outcome: first.and_then(|words| second.map(|_| words)) }
}

/// The milliseconds of processor time that a guest's boot took, once it has printed them.
pub fn ready(lines: &[String]) -> Option<String> {
    let after = |line: &String| {
        Some(line.strip_prefix("ready after ")?.strip_suffix(" ms of cpu")?.to_owned())
    };
    lines.iter().find_map(after)
}

/// Whether a guest's demo has ended, successfully or not.
pub fn over(lines: &[String]) -> bool {
    let mut replies = lines.iter().filter_map(|line| Reply::parse(line));
    replies.any(|reply| reply.command.starts_with("demo"))
}

/// Checks a demo's own last line.
pub fn ended(role: &str, lines: &[String]) -> Result<(), String> {
    all_passed(lines, &format!("demo {role}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::text::lines;

    #[test]
    fn a_step_is_number_name_words_and_end() {
        let step = Step::parse("step 1 share 64 pages rw, crc 1b2c3d4e both ways ok").unwrap();
        assert_eq!(step.number, 1);
        assert_eq!(step.outcome.as_deref(), Ok("64 pages rw, crc 1b2c3d4e both ways"));
        let step = Step::parse("step 4 ring 3 MiB FAILED: crc differs").unwrap();
        assert_eq!(step.outcome, Err("crc differs".to_owned()));
        assert!(step.shown().starts_with("  4 ring     FAILED: crc differs"));
        let widest = Step { number: 1, outcome: Ok("x".repeat(64)) };
        assert_eq!(widest.shown().len(), 80);
    }

    #[test]
    fn other_lines_are_no_steps() {
        for line in [
            "",
            "step",
            "step 1 share",
            "step 1 ring x ok",
            "step 0 share x ok",
            "step 9 x y ok",
            "step 1 share 64 pages",
            " step 1 share x ok",
            "grantkit> step 1 share x ok",
        ] {
            assert_eq!(Step::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_boot_time_is_read_only_from_the_guests_own_line() {
        assert_eq!(ready(&lines("Grantkit\nready after 1.9 ms of cpu\n")).as_deref(), Some("1.9"));
        assert_eq!(ready(&lines("ready after 1.9 ms")), None);
    }

    #[test]
    fn a_step_needs_both_guests() {
        let (passed, failed) = (lines("step 2 readonly a ok"), lines("step 2 readonly FAILED: b"));
        assert_eq!(both(2, [&passed, &passed]).outcome.as_deref(), Ok("a"));
        assert_eq!(both(2, [&passed, &failed]).outcome, Err("mapper: b".to_owned()));
        assert_eq!(both(2, [&failed, &passed]).outcome, Err("b".to_owned()));
        assert!(both(2, [&passed, &[]]).outcome.is_err());
        assert!(both(2, [&[], &passed]).outcome.is_err());
    }

    #[test]
    fn a_demo_ends_with_its_own_line() {
        assert_eq!(ended("mapper", &lines("x\nok demo mapper passed=7 failed=0")), Ok(()));
        assert!(ended("granter", &lines("ok demo mapper passed=7 failed=0")).is_err());
        assert!(ended("mapper", &lines("ok demo mapper passed=0 failed=0")).is_err());
        assert!(
            ended("mapper", &lines("error demo mapper errno=EIO status=- passed=6 failed=1"))
                .is_err()
        );
    }
}
