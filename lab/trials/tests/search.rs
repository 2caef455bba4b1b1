// SPDX-License-Identifier: MIT OR Apache-2.0
//! A secret is found wherever it is, by its images alone.

use trials::search::{LEN, Looked, Needles};

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const SECRET: [u8; LEN] = *b"thirty-two bytes that are hidden";
const PAGE: usize = 4096;

fn needle(secret: &[u8; LEN]) -> String {
    let words = secret.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    words.map(|word| format!("{:016x}", word.wrapping_mul(FACTOR))).collect()
}

fn needles(secrets: &[[u8; LEN]]) -> Needles {
    let words: Vec<String> = secrets.iter().map(needle).collect();
    Needles::parse(&format!("{FACTOR:x} {}", words.join(" "))).unwrap()
}

/// What is found in memory whose frames are at these addresses.
fn look(memory: &[u8], frames: &[Option<usize>], secrets: &[[u8; LEN]]) -> Vec<(usize, usize)> {
    let load = |at: usize| u32::from_le_bytes(memory[at..at + 4].try_into().unwrap());
    let mut found = Vec::new();
    let frames = frames.iter().copied();
    needles(secrets).look(frames, &load, &mut |which, at| found.push((which, at))).unwrap();
    found
}

#[test]
fn a_secret_is_found_at_every_address_also_across_two_frames() {
    let frames = [Some(0), Some(PAGE)];
    for at in (0..100).chain(PAGE - 50..PAGE + 50).chain(2 * PAGE - 100..=2 * PAGE - LEN) {
        let mut memory = vec![0x55; 2 * PAGE];
        memory[at..at + LEN].copy_from_slice(&SECRET);
        assert_eq!(look(&memory, &frames, &[SECRET]), [(0, at)]);
    }
}

#[test]
fn all_copies_are_found_and_told_apart() {
    let other = SECRET.map(|byte| !byte);
    let memory = [&[7; 3][..], &SECRET, &other, &SECRET, &[0; PAGE][..PAGE - 99]].concat();
    let found = look(&memory, &[Some(0)], &[other, SECRET]);
    assert_eq!(found, [(1, 3), (0, 35), (1, 67)]);
}

#[test]
fn neither_part_of_a_secret_nor_its_image_counts_as_the_secret() {
    for byte in 0..LEN {
        let mut memory = vec![0; PAGE];
        memory[64..64 + LEN].copy_from_slice(&SECRET);
        memory[64 + byte] ^= 1;
        memory[1000..1000 + 2 * LEN].copy_from_slice(needle(&SECRET).as_bytes());
        assert_eq!(look(&memory, &[Some(0)], &[SECRET]), []);
    }
    assert!(!format!("{:?}", needles(&[SECRET])).contains("thirty"));
}

#[test]
fn a_frame_that_is_not_mapped_is_counted_and_not_read() {
    let mut memory = vec![0; 3 * PAGE];
    memory[PAGE - 16..PAGE + 16].copy_from_slice(&SECRET);
    let frames = [Some(0), None, Some(2 * PAGE)];
    assert_eq!(look(&memory, &frames, &[SECRET]), []);
    let load = |at: usize| {
        assert!(!(PAGE..2 * PAGE).contains(&at));
        0
    };
    let looked = needles(&[SECRET]).look(frames.into_iter(), &load, &mut |_, _| ());
    assert_eq!(looked, Some(Looked { frames: 2, absent: 1 }));
}

#[test]
fn a_holder_makes_the_secret_from_its_images() {
    let mut secret = [0; LEN];
    needles(&[SECRET]).first(&mut secret);
    assert_eq!(secret, SECRET);
}

#[test]
fn malformed_needles_are_refused() {
    let image = needle(&SECRET);
    for text in ["", "x", "2", &format!("1 {image}0"), &format!("4 {image}"), "1 é", "1 abc"] {
        assert!(Needles::parse(text).is_none(), "{text}");
    }
}
