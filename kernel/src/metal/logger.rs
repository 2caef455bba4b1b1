// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend of the crate `log`: one line per message, on the console.

use log::{LevelFilter, Log, Metadata, Record};

use super::{clock, console};
use crate::println;

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            let now = clock::now() / 1_000;
            let (seconds, fraction) = (now / 1_000_000, now % 1_000_000);
            console::fresh_line();
            println!("[{seconds:5}.{fraction:06}] {:5} {}", record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

/// Accepts messages from level info up; `log::set_max_level` changes that.
pub fn init() {
    // It fails only if there already is a logger, which is this one.
    let _ = log::set_logger(&Logger);
    log::set_max_level(LevelFilter::Info);
}
