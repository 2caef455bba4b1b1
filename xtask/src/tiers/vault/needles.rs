// SPDX-License-Identifier: MIT OR Apache-2.0
//! The forms of an ed25519 key that must not be left in memory, and what the guest that searches
//! for them is told: images, from which only the factor leads back to the key.

use curve25519_dalek::Scalar;
use curve25519_dalek::scalar::clamp_integer;
use sha2::{Digest, Sha512};

/// Enough bytes to find a form of the key.
type Needle = [u8; 32];

/// The names, shown in failures, of the forms in which a key can be in memory.
pub const FORMS: [&str; 8] = [
    "the seed",
    "the seed as SHA-512 takes it in",
    "half of its hash, the scalar",
    "half of its hash, the prefix",
    "the scalar as it's clamped",
    "the scalar",
    "the scalar's limbs",
    "the scalar's digits",
];

/// All [`FORMS`] of the key with this seed.
pub fn forms(seed: &Needle) -> [Needle; FORMS.len()] {
    let hash: [u8; 64] = Sha512::digest(seed).into();
    let (half, prefix) = (part(&hash[..32]), part(&hash[32..]));
    let clamped = clamp_integer(half);
    let scalar = Scalar::from_bytes_mod_order(clamped).to_bytes();
    let turned = words(seed).map(u64::swap_bytes);
    let limbs = [0, 1, 2, 3].map(|limb| bits(&scalar, 52 * limb, 52));
    [*seed, bytes(turned), half, prefix, clamped, scalar, bytes(limbs), digits(&scalar)]
}

/// The arguments of the search command: an odd factor, and each needle's images.
pub fn said(factor: u64, needles: &[Needle]) -> String {
    let image = |word: u64| format!("{:016x}", word.wrapping_mul(factor));
    let images = needles.iter().map(|needle| words(needle).map(image).concat());
    format!("{factor:x} {}", images.collect::<Vec<_>>().join(" "))
}

fn part(half: &[u8]) -> Needle {
    std::array::from_fn(|at| half[at])
}

fn words(needle: &Needle) -> [u64; 4] {
    std::array::from_fn(|word| bits(needle, 64 * word, 64))
}

fn bytes(words: [u64; 4]) -> Needle {
    part(&words.map(u64::to_le_bytes).concat())
}

/// `count` bits of a number from bit `first` on.
fn bits(number: &Needle, first: usize, count: usize) -> u64 {
    let bit = |at: usize| u64::from(number[(first + at) / 8] >> ((first + at) % 8) & 1);
    (0..count).map(|at| bit(at) << at).sum()
}

/// The lower half of the scalar's 64 digits, from -8 to 7, as multiplication uses them.
fn digits(scalar: &Needle) -> Needle {
    let mut carry = 0;
    std::array::from_fn(|at| {
        let digit = bits(scalar, 4 * at, 4) as u8 + carry;
        carry = (digit + 8) >> 4;
        digit.wrapping_sub(carry << 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_sum_of_its_limbs_and_of_its_digits() {
        let [.., scalar, limbs, digits] = forms(&[7; 32]);
        let limbs = words(&limbs).map(u128::from);
        let low = limbs[0] | limbs[1] << 52 | limbs[2] << 104;
        assert_eq!(low.to_le_bytes(), scalar[..16]);
        let digit = |sum: i128, &digit: &u8| sum * 16 + i128::from(digit as i8);
        let low = digits[..30].iter().rev().fold(0, digit);
        let below = i128::from_le_bytes(scalar[..16].try_into().unwrap()) & ((1 << 120) - 1);
        assert_eq!(low & ((1 << 120) - 1), below);
        assert!(digits.iter().all(|&digit| (-8..8).contains(&(digit as i8))));
    }

    #[test]
    fn the_guest_is_told_none_of_the_forms() {
        let all = forms(&[7; 32]);
        let said = said(3, &all);
        assert!(said.starts_with("3 1515151515151515"));
        assert_eq!(said.split(' ').count(), 1 + all.len());
        let shown = |needle: &Needle| words(needle).map(|word| format!("{word:016x}")).concat();
        assert!(!all.iter().any(|needle| said.contains(&shown(needle))));
    }
}
