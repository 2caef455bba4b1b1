// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeps a guest's log lines for its test; a guest runs in its test's own thread.

use std::cell::RefCell;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

std::thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.with_borrow_mut(|lines| lines.push(record.args().to_string()));
    }

    fn flush(&self) {}
}

/// Starts keeping lines.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Lines).expect("no other logger");
        log::set_max_level(LevelFilter::Info);
    });
    take();
}

/// What this thread's guests have logged since the last call.
pub fn take() -> Vec<String> {
    LINES.take()
}
