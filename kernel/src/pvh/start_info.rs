// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Xen's builder tells a PVH guest, checked before it is trusted.
//!
//! The builder (tools/libs/guest/xg_dom_x86.c) puts hvm_start_info, the list of modules, the
//! command line and the memory map after the image, in the guest's memory. That is verified here,
//! where the host can test it. Of the memory map, only the RAM from address 0 to the first hole is
//! used: under xl all of it, up to 3.75 GiB.

use core::fmt;
use core::ops::Range;

use xen_sys::hvm::start_info::{MemmapType, XEN_HVM_START_MAGIC_VALUE};
use xen_sys::xen::MAX_GUEST_CMDLINE;

/// Bytes in a page.
const PAGE: u64 = 4096;

/// The end of what the entry code maps, and so of what can be read here.
const MAPPED: u64 = 1 << 30;

/// Where devices begin, whether the map lists them or not: `HVM_BELOW_4G_MMIO_START` of
/// xen/include/public/hvm/e820.h.
const DEVICES: u64 = 0xf000_0000;

/// More RAM than fits in the direct map must be a mistake.
const MOST_RAM: u64 = 4 << 40;

/// Maximum number of memory map entries, or of modules; firmware has at most 128.
const MOST_ENTRIES: u32 = 128;

/// Sizes in bytes of the structures, and of one entry of each array.
const START_INFO: u64 = 56;
const MODULE: u64 = 32;
const RANGE: u64 = 24;

/// What a PVH guest was given.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Bytes of RAM from address 0, in whole pages.
    pub ram: u64,
    /// The end of the space after it that could be RAM: nothing else is there.
    pub room: u64,
    /// The first page after the image and everything that the builder added.
    pub used_end: u64,
    /// Where the command line is, without the terminating zero.
    pub command_line: Range<u64>,
    /// An address above every range in the memory map, and above 4 GiB: a multiple of 1 GiB.
    pub beyond: u64,
}

/// Why a guest can't start.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The magic number is wrong.
    Magic(u32),
    /// There is no memory map.
    NoMemoryMap,
    /// The memory map has an invalid number of entries.
    Entries(u32),
    /// The number of modules is invalid.
    Modules(u32),
    /// An entry of the memory map ends above the last address.
    Wraps(u64),
    /// The size of the RAM at address 0: too little for the image, or absurdly large.
    Ram(u64),
    /// Something that should be in memory after the image is elsewhere.
    Outside(&'static str, u64),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(magic) => write!(f, "its magic is {magic:#x}"),
            Self::NoMemoryMap => f.write_str("no memory map"),
            Self::Entries(count) => write!(f, "a memory map of {count} entries"),
            Self::Modules(count) => write!(f, "{count} modules"),
            Self::Wraps(start) => write!(f, "memory at {start:#x} has no end"),
            Self::Ram(bytes) => write!(f, "{bytes:#x} bytes of memory at address 0"),
            Self::Outside(what, at) => write!(f, "{what} at {at:#x}, not in memory"),
        }
    }
}

/// Checks the structure at guest-physical address `at`, and what it points to. `read` copies from
/// guest-physical addresses below 1 GiB. The image ends at `image_end`.
///
/// # Errors
/// The first problem found.
pub fn look(read: impl Fn(u64, &mut [u8]), at: u64, image_end: u64) -> Result<Found, Refused> {
    let builder = Builder { read, image_end };
    builder.whole("start_info", at, START_INFO, MAPPED)?;
    let magic = builder.u32(at);
    if magic != XEN_HVM_START_MAGIC_VALUE {
        return Err(Refused::Magic(magic));
    }
    let (version, modules) = (builder.u32(at + 4), builder.u32(at + 12));
    let (modlist, command_line) = (builder.u64(at + 16), builder.u64(at + 24));
    if version == 0 {
        return Err(Refused::NoMemoryMap);
    }
    let (map, entries) = (builder.u64(at + 40), builder.u32(at + 48));
    let Map { ram, room, beyond } = builder.memory_map(map, entries)?;
    let mut used_end = image_end.max(at + START_INFO);
    let mut use_up = |what, start, len| {
        used_end = used_end.max(builder.whole(what, start, len, ram)?);
        Ok(())
    };
    use_up("start_info", at, START_INFO)?;
    use_up("the memory map", map, u64::from(entries) * RANGE)?;
    if modules > MOST_ENTRIES {
        return Err(Refused::Modules(modules));
    }
    if modules > 0 {
        use_up("the list of modules", modlist, u64::from(modules) * MODULE)?;
    }
    for module in (0..u64::from(modules)).map(|index| modlist + index * MODULE) {
        use_up("a module", builder.u64(module), builder.u64(module + 8))?;
    }
    let command_line = builder.command_line(command_line, ram)?;
    used_end = used_end.max(command_line.end + 1).next_multiple_of(PAGE);
    Ok(Found { ram, room, used_end, command_line, beyond })
}

/// The relevant content of the memory map.
struct Map {
    ram: u64,
    room: u64,
    beyond: u64,
}

/// What the builder left, and how to read it.
struct Builder<R> {
    read: R,
    image_end: u64,
}

impl<R: Fn(u64, &mut [u8])> Builder<R> {
    fn u32(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        (self.read)(at, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn u64(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        (self.read)(at, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// The end of `len` bytes at `start`, if all of them lie after the image, below `end`, and can
    /// be read.
    fn whole(&self, what: &'static str, start: u64, len: u64, end: u64) -> Result<u64, Refused> {
        let last = start.checked_add(len).filter(|&last| last <= end.min(MAPPED));
        last.filter(|_| start >= self.image_end).ok_or(Refused::Outside(what, start))
    }

    /// RAM from address 0 to the first hole, room for more, and an address above everything.
    fn memory_map(&self, map: u64, entries: u32) -> Result<Map, Refused> {
        match entries {
            0 => return Err(Refused::NoMemoryMap),
            1..=MOST_ENTRIES => {}
            _ => return Err(Refused::Entries(entries)),
        }
        self.whole("the memory map", map, u64::from(entries) * RANGE, MAPPED)?;
        let ranges = || (0..u64::from(entries)).map(|index| self.range(map + index * RANGE));
        let (mut ram, mut beyond) = (0, 4 << 30);
        // Entries may be in any order: each round adds at least one range, or is the last.
        for _ in 0..entries {
            for range in ranges() {
                let (range, is_ram) = range?;
                beyond = range.end.max(beyond);
                if is_ram && range.contains(&ram) {
                    ram = range.end;
                }
            }
        }
        // A range that some entry claims for something else is not RAM, whatever another entry
        // says.
        let mut room = ram.max(DEVICES);
        for range in ranges() {
            let (range, is_ram) = range?;
            if !is_ram && !range.is_empty() {
                ram = ram.min(range.start);
                room = room.min(range.start);
            }
        }
        let ram = ram - ram % PAGE;
        let room = room - room % PAGE;
        if ram <= self.image_end || ram > MOST_RAM {
            return Err(Refused::Ram(ram));
        }
        let beyond = beyond.checked_next_multiple_of(1 << 30).unwrap_or(u64::MAX);
        Ok(Map { ram, room, beyond })
    }

    /// One entry of the memory map, and whether it is RAM.
    fn range(&self, at: u64) -> Result<(Range<u64>, bool), Refused> {
        let (start, size) = (self.u64(at), self.u64(at + 8));
        let end = start.checked_add(size).ok_or(Refused::Wraps(start))?;
        Ok((start..end, MemmapType(self.u32(at + 16)) == MemmapType::RAM))
    }

    /// Where the command line is. If too long, it is cut off, as under PV.
    fn command_line(&self, start: u64, ram: u64) -> Result<Range<u64>, Refused> {
        if start == 0 {
            return Ok(0..0);
        }
        let mut byte = [0];
        let longest = MAX_GUEST_CMDLINE as u64 - 1;
        for end in start..=start.saturating_add(longest) {
            self.whole("the command line", end, 1, ram)
                .map_err(|_| Refused::Outside("the command line", start))?;
            (self.read)(end, &mut byte);
            if byte == [0] || end - start == longest {
                return Ok(start..end);
            }
        }
        Err(Refused::Outside("the command line", start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use alloc::{format, vec};

    const IMAGE_END: u64 = 0x4_0123;
    const AT: u64 = 0x6_0000;
    const MODULES: u64 = AT + 0x40;
    const LINE: u64 = AT + 0x100;
    const MAP: u64 = AT + 0x200;
    const RAM: u64 = 8 << 20;

    /// Guest memory, in which a test plants a builder's mistakes.
    struct Memory(Vec<u8>);

    impl Memory {
        /// What xl 4.17 gives an 8 MiB guest with one module.
        fn of_xl() -> Self {
            let mut memory = Memory(vec![0; RAM as usize]);
            memory.put(AT, &[0x336e_c578, 1, 0, 1].map(u32::to_le_bytes).concat());
            memory.put(AT + 16, &[MODULES, LINE, 0xfc00_0000, MAP].map(u64::to_le_bytes).concat());
            memory.put(MODULES, &[AT + 0x1000, 0x2345].map(u64::to_le_bytes).concat());
            memory.put(LINE, b"loglevel=info -- status\0");
            memory.map(&[(0, RAM, 1), (0xfc00_0000, 0x1000, 3), (0xfeff_8000, 0x8000, 2)]);
            memory
        }

        fn put(&mut self, at: u64, bytes: &[u8]) {
            self.0[at as usize..][..bytes.len()].copy_from_slice(bytes);
        }

        fn map(&mut self, ranges: &[(u64, u64, u32)]) {
            self.put(AT + 48, &(ranges.len() as u32).to_le_bytes());
            for (index, (start, size, kind)) in ranges.iter().enumerate() {
                let at = MAP + index as u64 * RANGE;
                self.put(at, &[*start, *size, u64::from(*kind)].map(u64::to_le_bytes).concat());
            }
        }

        fn look_at(&self, at: u64) -> Result<Found, Refused> {
            let read = |at: u64, bytes: &mut [u8]| {
                assert!(at + bytes.len() as u64 <= MAPPED, "read at {at:#x}, which is not mapped");
                // Beyond the guest's memory, everything reads as ones.
                for (byte, at) in bytes.iter_mut().zip(at as usize..) {
                    *byte = self.0.get(at).copied().unwrap_or(0xff);
                }
            };
            look(read, at, IMAGE_END)
        }

        fn look(&self) -> Result<Found, Refused> {
            self.look_at(AT)
        }
    }

    #[test]
    fn what_xl_gives_is_understood() {
        let found = Memory::of_xl().look().expect("it's all right");
        let used_end = (AT + 0x1000 + 0x2345u64).next_multiple_of(PAGE);
        let command_line = LINE..LINE + 23;
        let room = DEVICES;
        assert_eq!(found, Found { ram: RAM, room, used_end, command_line, beyond: 4 << 30 });
    }

    #[test]
    fn ram_ends_at_the_first_hole_or_claim_whatever_the_order() {
        let ram = |ranges: &[(u64, u64, u32)]| {
            let mut memory = Memory::of_xl();
            memory.map(ranges);
            memory.look().map(|found| (found.ram, found.beyond >> 30))
        };
        let (half, more) = (RAM / 2, 4 << 30);
        assert_eq!(ram(&[(half, half, 1), (0, half, 1)]), Ok((RAM, 4)));
        assert_eq!(ram(&[(0, half, 1), (half + PAGE, half, 1)]), Ok((half, 4)));
        assert_eq!(ram(&[(0, RAM, 1), (half, PAGE, 2)]), Ok((half, 4)));
        assert_eq!(ram(&[(0, half + 1, 1), (half, 1, 1)]), Ok((half, 4)));
        assert_eq!(ram(&[(0, RAM, 1), (RAM, 0, 2), (more, 1, 1)]), Ok((RAM, 5)));
        assert_eq!(ram(&[(0, RAM, 1), (0, 0, 1), (0, 0, 2)]), Ok((RAM, 4)));
    }

    #[test]
    fn room_ends_at_the_first_claim_and_where_devices_are() {
        let room = |ranges: &[(u64, u64, u32)]| {
            let mut memory = Memory::of_xl();
            memory.map(ranges);
            memory.look().map(|found| (found.ram, found.room))
        };
        let (gap, large) = (RAM + 0x1234, DEVICES + RAM);
        assert_eq!(room(&[(0, RAM, 1)]), Ok((RAM, DEVICES)));
        assert_eq!(room(&[(0, RAM, 1), (gap, 1, 2), (gap + 1, 1, 2)]), Ok((RAM, RAM + 0x1000)));
        assert_eq!(room(&[(0, RAM, 1), (RAM, 1, 2)]), Ok((RAM, RAM)));
        assert_eq!(room(&[(0, RAM, 1), (0xfc00_0000, 1, 2)]), Ok((RAM, DEVICES)));
        assert_eq!(room(&[(0, large, 1)]), Ok((large, large)));
    }

    #[test]
    fn an_absurd_memory_map_is_refused() {
        let refused = |ranges: &[(u64, u64, u32)]| {
            let mut memory = Memory::of_xl();
            memory.map(ranges);
            memory.look().expect_err("refused")
        };
        assert_eq!(refused(&[]), Refused::NoMemoryMap);
        assert_eq!(refused(&[(PAGE, RAM, 1)]), Refused::Ram(0));
        assert_eq!(refused(&[(0, RAM, 2)]), Refused::Ram(0));
        assert_eq!(refused(&[(0, IMAGE_END & !0xfff, 1)]), Refused::Ram(IMAGE_END & !0xfff));
        assert_eq!(refused(&[(0, 1 << 60, 1)]), Refused::Ram(1 << 60));
        assert_eq!(refused(&[(0, RAM, 1), (u64::MAX, 2, 2)]), Refused::Wraps(u64::MAX));
        let mut memory = Memory::of_xl();
        for entries in [129, u32::MAX] {
            memory.put(AT + 48, &entries.to_le_bytes());
            assert_eq!(memory.look(), Err(Refused::Entries(entries)));
        }
        memory.put(AT + 4, &[0; 4]);
        assert_eq!(memory.look(), Err(Refused::NoMemoryMap), "version 0 has no field for it");
    }

    #[test]
    fn another_magic_is_refused_and_told() {
        let mut memory = Memory::of_xl();
        memory.put(AT, b"xen!");
        let refused = memory.look().expect_err("refused");
        assert_eq!(refused, Refused::Magic(0x216e_6578));
        assert_eq!(format!("{refused}"), "its magic is 0x216e6578");
    }

    #[test]
    fn a_pointer_out_of_range_is_refused_and_not_followed() {
        let wild = [1, IMAGE_END - 1, RAM, MAPPED - 1, MAPPED, 1 << 40, u64::MAX - 3, u64::MAX];
        for at in wild {
            let answer = Memory::of_xl().look_at(at);
            let told = matches!(answer, Err(Refused::Outside("start_info", place)) if place == at);
            // Beyond memory, where everything can be read, there is no magic number.
            assert!(told || answer == Err(Refused::Magic(u32::MAX)), "{at:#x}: {answer:?}");
            let fields =
                [(16, "the list of modules"), (24, "the command line"), (40, "the memory map")];
            for (field, what) in fields {
                let mut memory = Memory::of_xl();
                memory.put(AT + field, &at.to_le_bytes());
                let answer = memory.look().map(drop);
                // Beyond memory, where everything can be read, a memory map of ones has no end.
                let ones = what == "the memory map" && (RAM..MAPPED - RANGE * 3).contains(&at);
                let refused = Refused::Outside(what, at);
                assert_eq!(answer, Err(if ones { Refused::Wraps(u64::MAX) } else { refused }));
            }
            let mut memory = Memory::of_xl();
            memory.put(MODULES, &at.to_le_bytes());
            assert_eq!(memory.look(), Err(Refused::Outside("a module", at)));
        }
        let mut memory = Memory::of_xl();
        memory.put(AT + 12, &[0xff; 4]);
        assert_eq!(memory.look(), Err(Refused::Modules(u32::MAX)));
    }

    #[test]
    fn a_command_line_may_be_none_and_is_cut_off_where_it_is_too_long() {
        let mut memory = Memory::of_xl();
        memory.put(AT + 24, &[0; 8]);
        assert_eq!(memory.look().map(|found| found.command_line), Ok(0..0));
        let mut memory = Memory::of_xl();
        let line = AT + 0x8000;
        memory.put(AT + 24, &line.to_le_bytes());
        memory.put(line, &[b'x'; 2000]);
        assert_eq!(memory.look().map(|found| found.command_line), Ok(line..line + 1023));
        // An unterminated one at the end of memory.
        memory.put(AT + 24, &(RAM - 10).to_le_bytes());
        memory.put(RAM - 10, &[b'x'; 10]);
        assert_eq!(memory.look(), Err(Refused::Outside("the command line", RAM - 10)));
    }
}
