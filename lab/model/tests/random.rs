// SPDX-License-Identifier: MIT OR Apache-2.0
//! A million random calls by several handles in several domains, compared with the reference model.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{SystemTime, UNIX_EPOCH};

use fake_xen::heap::Heap;
use model::fake::{run, run_alone};
use model::{Met, Op, seed_of, sequence, shrink};

#[global_allocator]
static HEAP: Heap = Heap;

/// The number of operations in a sequence.
const LENGTH: usize = if cfg!(miri) { 25 } else { 2000 };

/// Sequences that once failed, shrunk.
const REGRESSIONS: &[&[Op]] = &[
    // DOMID_SELF means the caller in a copy, and nobody in a map.
    &[[155, 5, 172, 103, 192, 39, 16, 227]],
    // A byte to clear on an index that was removed, and has since been reserved by somebody else.
    &[
        [132, 191, 245, 180, 54, 237, 71, 214],
        [34, 40, 106, 10, 151, 1, 213, 180],
        [169, 214, 238, 177, 111, 233, 218, 89],
        [80, 35, 69, 41, 240, 54, 177, 112],
        [101, 201, 59, 2, 48, 242, 94, 76],
        [164, 106, 196, 53, 84, 100, 223, 75],
        [53, 50, 81, 126, 250, 118, 100, 26],
        [77, 116, 81, 77, 112, 114, 246, 39],
        [162, 13, 63, 80, 185, 140, 3, 64],
        [119, 175, 11, 100, 181, 68, 52, 121],
        [139, 220, 151, 105, 203, 69, 138, 203],
        [174, 35, 36, 133, 190, 67, 72, 174],
        [2, 173, 84, 98, 7, 185, 233, 82],
        [128, 209, 130, 117, 41, 88, 200, 174],
        [59, 5, 95, 46, 59, 47, 155, 138],
        [165, 151, 90, 27, 101, 33, 96, 93],
        [151, 29, 70, 30, 231, 66, 101, 19],
        [99, 173, 187, 90, 207, 71, 102, 145],
        [176, 54, 151, 44, 72, 9, 57, 228],
        [38, 118, 142, 94, 14, 137, 58, 198],
        [2, 138, 82, 50, 215, 217, 24, 181],
        [169, 70, 169, 141, 110, 179, 35, 3],
        [13, 4, 60, 234, 100, 188, 76, 170],
        [34, 153, 29, 226, 252, 115, 228, 167],
        [159, 105, 242, 202, 235, 60, 71, 45],
        [122, 139, 201, 22, 200, 46, 119, 213],
        [144, 227, 53, 18, 205, 225, 42, 239],
        [78, 171, 187, 113, 35, 140, 226, 245],
        [11, 113, 16, 116, 80, 255, 253, 162],
        [25, 201, 10, 33, 150, 220, 199, 227],
        [54, 211, 177, 44, 53, 89, 187, 249],
        [136, 91, 232, 139, 134, 53, 184, 1],
        [15, 145, 198, 198, 95, 61, 157, 202],
        [67, 118, 151, 247, 254, 211, 221, 250],
        [179, 73, 60, 242, 106, 217, 187, 19],
        [190, 43, 224, 41, 208, 221, 231, 44],
        [85, 31, 238, 254, 194, 175, 27, 90],
        [27, 139, 61, 67, 240, 217, 121, 158],
    ],
    // One retry unmapped the last pages of two closed devices, and one of the devices stayed.
    &[
        [5, 21, 93, 178, 43, 151, 70, 32],
        [14, 100, 60, 33, 213, 252, 204, 156],
        [200, 199, 20, 246, 231, 138, 210, 191],
        [143, 49, 31, 192, 224, 43, 211, 99],
        [45, 217, 5, 229, 233, 19, 45, 162],
        [81, 70, 85, 178, 132, 120, 237, 111],
        [18, 241, 74, 215, 240, 214, 171, 33],
        [49, 220, 24, 97, 235, 215, 247, 78],
    ],
    // A close tried to unmap a stuck page twice, and ignored that the second try succeeded.
    &[
        [195, 197, 5, 142, 176, 248, 225, 192],
        [34, 63, 89, 68, 18, 9, 16, 5],
        [110, 2, 130, 254, 138, 35, 145, 82],
        [50, 125, 121, 203, 164, 163, 208, 41],
        [117, 2, 246, 138, 147, 209, 61, 163],
        [193, 227, 28, 30, 36, 172, 81, 116],
        [1, 101, 61, 53, 245, 229, 108, 129],
    ],
];

/// Returns the number in an environment variable.
fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Returns the requested seed, or a new one each time.
fn seed() -> u64 {
    let now =
        || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64);
    setting("GRANTKIT_SEED").unwrap_or_else(|| if cfg!(miri) { 1 } else { now() })
}

#[test]
fn sequences_that_once_failed_pass() {
    let some = if cfg!(miri) { 1 } else { REGRESSIONS.len() };
    REGRESSIONS[..some].iter().for_each(|ops| _ = run(ops));
}

/// Runs random sequences, and shrinks one that fails. `name` names the function that runs them.
fn run_many(sequences: u64, name: &str, run: fn(&[Op]) -> Met) -> Met {
    let try_run = |ops: &[Op]| catch_unwind(AssertUnwindSafe(|| run(ops)));
    let fails = |ops: &[Op]| try_run(ops).is_err();
    let first = seed();
    let sequences = setting("GRANTKIT_SEQUENCES").unwrap_or(if cfg!(miri) { 2 } else { sequences });
    println!("GRANTKIT_SEED={first}, {sequences} sequences of {LENGTH} operations");
    let mut met = Met::default();
    for number in 0..sequences {
        let ops = sequence(seed_of(first, number), LENGTH);
        if let Ok(more) = try_run(&ops) {
            met += more;
        } else if fails(&ops) {
            let short = shrink(ops, fails);
            eprintln!("GRANTKIT_SEED={first}; a regression test: {name}(&{short:?})");
            run(&short);
        }
    }
    println!("{met:?}");
    met
}

#[test]
fn a_million_random_calls_do_what_the_model_says() {
    let met = run_many(500, "run", run);
    assert!(met.lacked > 0 || cfg!(miri), "the heap refused nothing: {met:?}");
}

#[test]
fn random_calls_of_a_guest_that_grants_to_itself_do_what_the_model_says() {
    run_many(50, "run_alone", run_alone);
}

#[test]
fn a_failing_sequence_is_made_as_short_as_it_can_be() {
    let fails = |ops: &[u32]| ops.contains(&7) && ops.contains(&41);
    assert_eq!(shrink((0..1000).collect(), fails), [7, 41]);
}
