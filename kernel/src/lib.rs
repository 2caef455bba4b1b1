//! Grantkit's kernel: a 64-bit PV guest of Xen, as a library.
//!
//! A guest is this crate and one async function:
//!
//! ```ignore
//! grantkit::entry!(main);
//!
//! async fn main(guest: Guest) {
//!     println!("the command line is {}", guest.command_line());
//! }
//! ```
//!
//! The crate boots, protects memory, dumps what goes wrong, keeps time and runs futures. What it
//! knows of grants and events is in `drivers`, which sees this crate as [`Xen`], an implementor of
//! its two traits. It relies on the target x86_64-unknown-none with the flags of
//! `.cargo/config.toml`, and on `linker.ld`, which an application outside this package passes to
//! the linker itself (`-T`).
//!
//! It refuses: a second vCPU, user mode, interrupts while code runs.
#![no_std]

extern crate alloc;

mod backtrace;
mod boot;
mod clock;
mod console;
mod crash;
mod executor;
mod guest;
mod heap;
mod hypercall;
mod image;
mod logger;
mod memory;
mod panicking;
pub mod power;
mod shared_info;
mod symbols;
mod timers;
mod traps;
mod xen;

pub use clock::{cpu as cpu_time, wall_clock};
pub use crash::{Crash, crash};
pub use executor::{BoxedFuture, Spawner};
pub use guest::{Guest, Usage};
pub use xen::Xen;

#[doc(hidden)]
pub use {alloc::boxed::Box as __Box, console::print as __print};

/// Names the function that the guest runs: an `async fn` that takes a [`Guest`]. When it returns,
/// the domain powers off.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[expect(unsafe_code, reason = "the kernel links to this symbol")]
        #[unsafe(no_mangle)]
        fn grantkit_main(guest: $crate::Guest) -> $crate::BoxedFuture {
            $crate::__Box::pin($main(guest))
        }
    };
}

/// Prints on the console, at once.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => {
        $crate::__print(format_args!($($text)*))
    };
}

/// Prints a line on the console, at once.
#[macro_export]
macro_rules! println {
    () => {
        $crate::print!("\n")
    };
    ($($text:tt)*) => {
        $crate::print!("{}\n", format_args!($($text)*))
    };
}
