// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bounds of the image in memory, as `grantkit.ld` sets them.
#![expect(unsafe_code, reason = "the linker's symbols are foreign statics")]

use core::ops::Range;

/// Declares functions that return the range between two symbols of the linker script.
macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident: $start:ident .. $end:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name() -> Range<usize> {
            unsafe extern "C" {
                static $start: u8;
                static $end: u8;
            }
            (&raw const $start).addr()..(&raw const $end).addr()
        }
    )*};
}

sections! {
    /// The code.
    text: __text_start .. __text_end;
    /// Constants and the ELF notes.
    rodata: __rodata_start .. __fixups_end;
    /// Pairs of addresses: an instruction that may fault, and where to continue.
    fixups: __fixups_start .. __fixups_end;
    /// Data and .bss; the builder's additions follow.
    data: __data_start .. __image_end;
}
