// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's size: `xl mem-set` writes it to `memory/target`, in KiB.
//!
//! The result is one line on the console. A target that is not a size, is above maxmem or below
//! what is in use, or that Xen refuses, leaves the guest unchanged.

use drivers::balloon::{Resized, pages_of_kib};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::xenstore::{XenStore, persist};
use drivers::{Pages, Services};

use super::{TARGET, info, warn};
use crate::text::Plain;

/// The most memory that the toolstack allows, in KiB.
const MOST: &str = "memory/static-max";

/// Resizes the guest to `target`.
pub(super) async fn follow<X: Platform>(
    services: &Services<X>,
    store: &XenStore<X>,
    target: &[u8],
) {
    let wanted = number(target).and_then(|kib| Some((kib, pages_of_kib(kib)?)));
    let Some((kib, wanted)) = wanted else {
        let target = Plain(target.get(..16).unwrap_or(target));
        return warn(TARGET, &format_args!("{target} KiB is no size; nothing is changed"));
    };
    let most = persist(&services.system, &|| store.read(MOST)).await.ok();
    if let Some(most) = most.and_then(|most| number(&most)).filter(|most| kib > *most) {
        return warn(TARGET, &format_args!("{kib} KiB is more than maxmem, {most} KiB"));
    }
    match services.balloon.resize(wanted).await {
        Ok(Resized::Not) => {}
        Ok(Resized::Shrunk(pages)) => say("gave back", pages, kib),
        Ok(Resized::Grown(pages)) => say("took", pages, kib),
        Err(error) => {
            let unchanged = if error.off == 0 { "; nothing is changed" } else { "" };
            warn(TARGET, &format_args!("{kib} KiB: {error}{unchanged}"));
        }
    }
}

fn say(what: &str, pages: Pages, now: u64) {
    let kib = u64::from(pages.0) * (PAGE_SIZE as u64 / 1024);
    info(TARGET, &format_args!("{what} {kib} KiB, {now} KiB now"));
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}
