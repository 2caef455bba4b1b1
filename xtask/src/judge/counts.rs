// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's counts, compared before and after: if they are equal, nothing was left behind.

use anyhow::{Result, ensure};

use super::reply::number;

/// The keys of `status` whose values must be as before once everything is released.
const KEYS: [&str; 8] =
    ["grants", "parked", "maps", "reserved", "ports", "frames", "frames_free", "heap"];

/// The counts of one guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts(Vec<(&'static str, u64)>);

impl Counts {
    /// The counts in the result line of `status`.
    pub fn of(status: &str) -> Result<Counts> {
        let count = |key| Ok((key, number(status, key)?));
        KEYS.into_iter().map(count).collect::<Result<_>>().map(Counts)
    }

    /// Drops the heap's count, which varies with the history of typed lines.
    pub fn but_heap(mut self) -> Counts {
        self.0.retain(|(key, _)| *key != "heap");
        self
    }

    /// The same, but with as many free frames as `before` if there are at most `tables` fewer. A
    /// guest that becomes larger than ever uses them for page tables, for good.
    pub fn but_tables(mut self, tables: u64, before: &Counts) -> Counts {
        for ((key, is), (_, was)) in self.0.iter_mut().zip(&before.0) {
            let used = was.checked_sub(*is);
            if *key == "frames_free" && used.is_some_and(|used| used <= tables) {
                *is = *was;
            }
        }
        self
    }

    /// Checks that all counts are as before; the error names the first that is not.
    pub fn same(&self, before: &Counts) -> Result<()> {
        for ((key, is), (_, was)) in self.0.iter().zip(&before.0) {
            ensure!(was == is, "{key} was {was} and is {is}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "ok status grants=1 parked=2 maps=3 reserved=4 ports=5 frames=6 \
                          frames_free=7 heap=8 heap_free=9 stack=10 hypercalls=11 uptime=12 mode=pv";

    #[test]
    fn frames_for_page_tables_are_no_difference() {
        let with = |free| Counts::of(&STATUS.replace("_free=7", &format!("_free={free}"))).unwrap();
        let same = |free| with(free).but_tables(3, &with(7)).same(&with(7)).is_ok();
        assert_eq!([3, 4, 7, 8].map(same), [false, true, true, false]);
    }

    #[test]
    fn a_count_that_differs_is_named() {
        let before = Counts::of(STATUS).unwrap();
        for (count, named) in [("parked=2", "parked was 2 and is 9"), ("heap=8", "heap was 8")] {
            let (key, _) = count.split_once('=').unwrap();
            let after = Counts::of(&STATUS.replace(count, &format!("{key}=9"))).unwrap();
            assert!(after.same(&before).unwrap_err().to_string().starts_with(named));
        }
        let later = Counts::of(&STATUS.replace("uptime=12", "uptime=13")).unwrap();
        assert!(later.same(&before).is_ok());
    }

    #[test]
    fn the_heap_can_be_left_out() {
        let before = Counts::of(STATUS).unwrap().but_heap();
        let after = Counts::of(&STATUS.replace("heap=8", "heap=9")).unwrap().but_heap();
        assert_eq!(before, after);
    }

    #[test]
    fn a_missing_count_is_an_error() {
        assert!(Counts::of(&STATUS.replace(" ports=5", "")).is_err());
        assert!(Counts::of("error status errno=EINVAL status=- x").is_err());
    }
}
