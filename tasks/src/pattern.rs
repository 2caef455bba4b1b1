// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bytes that `fill` writes, a SplitMix64 stream, and the CRC-32 that `sum` takes.
//!
//! Programs on the other side of a share use it to generate and check the same bytes. All data
//! passes through a one-page buffer.

use core::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};
use drivers::Error;
use drivers::memory::PAGE_SIZE;
use drivers::shared::{Shared, SharedMut};

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// Starts a CRC-32/ISO-HDLC, as in zlib.
pub fn crc() -> Digest<'static, u32, Table<1>> {
    CRC.digest()
}

/// The SplitMix64 generator. It never ends.
#[derive(Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Iterator for SplitMix64 {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some(z ^ (z >> 31))
    }
}

/// Fills a page with the next words of `stream`, little-endian.
pub fn words(page: &mut [u8; PAGE_SIZE], stream: &mut SplitMix64) {
    for (word, value) in page.chunks_exact_mut(8).zip(stream) {
        word.copy_from_slice(&value.to_le_bytes());
    }
}

/// Fills these pages with the next words of `stream`, little-endian, and adds them to `crc`.
///
/// # Errors
/// EINVAL if the range has no such pages.
pub fn fill(
    range: &dyn SharedMut,
    pages: Range<usize>,
    stream: &mut SplitMix64,
    crc: &mut Digest<'static, u32, Table<1>>,
) -> Result<(), Error> {
    let mut buffer = [0; PAGE_SIZE];
    for page in pages {
        words(&mut buffer, stream);
        range.write(page * PAGE_SIZE, &buffer)?;
        crc.update(&buffer);
    }
    Ok(())
}

/// Reads these pages and adds them to `crc`.
///
/// # Errors
/// EINVAL if the range has no such pages.
pub fn sum(
    range: &dyn Shared,
    pages: Range<usize>,
    crc: &mut Digest<'static, u32, Table<1>>,
) -> Result<(), Error> {
    let mut buffer = [0; PAGE_SIZE];
    for page in pages {
        range.read(page * PAGE_SIZE, &mut buffer)?;
        crc.update(&buffer);
    }
    Ok(())
}

/// Fills all pages with the stream of `seed`, and returns their CRC-32.
///
/// # Errors
/// Those of the range.
pub fn fill_all(range: &dyn SharedMut, seed: u64) -> Result<u32, Error> {
    let (mut stream, mut crc) = (SplitMix64::new(seed), crc());
    fill(range, 0..range.size() / PAGE_SIZE, &mut stream, &mut crc)?;
    Ok(crc.finalize())
}

/// The CRC-32 of all pages.
///
/// # Errors
/// Those of the range.
pub fn sum_all(range: &dyn Shared) -> Result<u32, Error> {
    let mut crc = crc();
    sum(range, 0..range.size() / PAGE_SIZE, &mut crc)?;
    Ok(crc.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use core::cell::RefCell;

    #[derive(Debug)]
    struct Bytes(RefCell<Vec<u8>>);

    impl Shared for Bytes {
        fn size(&self) -> usize {
            self.0.borrow().len()
        }
        fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
            bytes.copy_from_slice(&self.0.borrow()[offset..][..bytes.len()]);
            Ok(())
        }

        fn load_u32(&self, offset: usize) -> Result<u32, Error> {
            let mut bytes = [0; 4];
            self.read(offset, &mut bytes)?;
            Ok(u32::from_le_bytes(bytes))
        }
    }

    impl SharedMut for Bytes {
        fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
            self.0.borrow_mut()[offset..][..bytes.len()].copy_from_slice(bytes);
            Ok(())
        }

        fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
            self.write(offset, &value.to_le_bytes())
        }
    }

    #[test]
    fn the_stream_is_splitmix64() {
        // The reference implementation's first outputs for seed 1234567.
        let stream: Vec<_> = SplitMix64::new(1_234_567).take(3).collect();
        let known =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(stream, known);
    }

    #[test]
    fn sixty_four_pages_from_seed_42_have_the_crc_that_is_documented() {
        let range = Bytes(RefCell::new(vec![0; 64 * PAGE_SIZE]));
        let (mut stream, mut written, mut read) = (SplitMix64::new(42), crc(), crc());
        fill(&range, 0..64, &mut stream, &mut written).unwrap();
        assert_eq!(written.finalize(), 0x9553_9f90);
        sum(&range, 0..64, &mut read).unwrap();
        assert_eq!(read.finalize(), 0x9553_9f90);
    }
}
