//! The guest that `xl create` starts.
#![no_std]
#![no_main]

use grantkit::{Crash, Guest, crash, power, println};

grantkit::entry!(main);

/// Until the shell is here: crashes as asked, or says what there is.
async fn main(guest: Guest) {
    let line = guest.command_line();
    let kinds = [
        ("panic", Crash::Panic),
        ("null", Crash::Null),
        ("text", Crash::Text),
        ("rodata", Crash::Rodata),
        ("exec", Crash::Exec),
        ("stack", Crash::Stack),
    ];
    for (word, kind) in kinds {
        if line.ends_with(word) {
            crash(kind);
        }
    }
    println!("grantkit: {line:?} {:?}", guest.usage());
    power::reboot()
}
