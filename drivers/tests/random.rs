//! A million random calls by several handles in several domains, against the reference model.

mod model;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{SystemTime, UNIX_EPOCH};

use model::shrink::shrink;
use model::{Op, run};

/// Operations of one sequence.
const LENGTH: usize = if cfg!(miri) { 60 } else { 2000 };

/// Sequences that once failed, made short.
const REGRESSIONS: &[&[Op]] = &[
    // DOMID_SELF means the caller in a copy, and nobody in a map.
    &[[155, 5, 172, 103, 192, 39, 16, 227]],
];

/// xorshift64*: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

fn sequence(seed: u64) -> Vec<Op> {
    let mut random = Random(seed | 1);
    (0..LENGTH).map(|_| random.next().to_le_bytes()).collect()
}

fn fails(ops: &[Op]) -> bool {
    catch_unwind(AssertUnwindSafe(|| run(ops))).is_err()
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The seed asked for, or a new one every time.
fn seed() -> u64 {
    let now =
        || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64);
    setting("GRANTKIT_SEED").unwrap_or_else(|| if cfg!(miri) { 1 } else { now() })
}

#[test]
fn what_once_went_wrong_goes_right() {
    REGRESSIONS.iter().for_each(|ops| run(ops));
}

#[test]
fn a_million_random_calls_do_what_the_model_says() {
    let first = seed();
    let sequences = setting("GRANTKIT_SEQUENCES").unwrap_or(if cfg!(miri) { 4 } else { 500 });
    println!("GRANTKIT_SEED={first}, {sequences} sequences of {LENGTH} operations");
    for number in 0..sequences {
        let ops = sequence(first.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        if fails(&ops) {
            let short = shrink(ops, fails);
            eprintln!("GRANTKIT_SEED={first}; a regression test: run(&{short:?})");
            run(&short);
        }
    }
}

#[test]
fn a_failing_sequence_is_made_as_short_as_it_can_be() {
    let fails = |ops: &[u32]| ops.contains(&7) && ops.contains(&41);
    assert_eq!(shrink((0..1000).collect(), fails), [7, 41]);
}
