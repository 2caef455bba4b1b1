// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line's options, which `set` can also change at run time.

use drivers::Services;
use drivers::memory::Platform;
use log::LevelFilter;

use super::reply::{Done, Failure};
use super::words;
use crate::Machine;
use crate::text::Quoted;

/// The options that [`set`] accepts.
pub(crate) const OPTIONS: [&str; 3] = ["gntalloc.limit", "gntdev.limit", "loglevel"];

/// Sets an option.
pub(crate) fn set<X: Platform, M: Machine>(
    services: &Services<X>,
    machine: &M,
    option: &str,
    value: &str,
) -> Done {
    match option {
        "gntalloc.limit" => services.gntalloc.set_limit(number(option, value)?),
        "gntdev.limit" => services.gntdev.set_limit(number(option, value)?)?,
        "loglevel" => machine.set_log_level(level(value)?),
        _ => {
            return Err(Failure::invalid(format_args!(
                "{} is no option; there are gntalloc.limit, gntdev.limit, loglevel; at boot prompt, too",
                Quoted(option)
            )));
        }
    }
    Ok(())
}

fn number(option: &str, value: &str) -> Result<u32, Failure> {
    let number = words::number(value).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| {
        Failure::invalid(format_args!(
            "{option} {} is no number of 32 bits, decimal or 0x-hex",
            Quoted(value)
        ))
    })
}

fn level(value: &str) -> Result<LevelFilter, Failure> {
    Ok(match value {
        "off" => LevelFilter::Off,
        "error" => LevelFilter::Error,
        "warn" => LevelFilter::Warn,
        "info" => LevelFilter::Info,
        "debug" => LevelFilter::Debug,
        "trace" => LevelFilter::Trace,
        _ => {
            return Err(Failure::invalid(format_args!(
                "loglevel {} is none of off, error, warn, info, debug, trace",
                Quoted(value)
            )));
        }
    })
}
