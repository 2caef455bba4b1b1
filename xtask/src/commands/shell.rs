// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two guests at their prompts.

use anyhow::Result;

use super::attach::attach;
use crate::guests::config::Settings;
use crate::guests::image;
use crate::guests::life::{self, PAIR, PLAIN};
use crate::host::steps::{say, step};
use crate::lab::{Lab, Mode, dom0};

/// `./run.sh shell`
pub fn command(mode: Mode) -> Result<()> {
    image::build()?;
    let dom0 = dom0::prepare(&image::files()?, None, mode)?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, "shell", ""))?;
    for guest in PAIR {
        let domid = life::create(&mut lab, guest, PLAIN, &Settings::none().extra("prompt=name"))?;
        say(&format!("        {guest} is domain {domid}"));
    }
    say("        Ctrl-O: the other guest; Ctrl-]: leave");
    attach(&mut lab, &PAIR, false)
}
