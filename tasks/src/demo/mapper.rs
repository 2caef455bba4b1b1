// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mapper: looks for a granter, does what it asks, and starts again if it vanishes.

use drivers::memory::Platform;
use drivers::peers::{Lookout, News, look};
use drivers::{DomId, GrantRef, PortNumber, Services};

use super::find::{GRANTER, MAPPER, Post, VERSION, numbers};
use super::follow::{self, Offer};
use super::report::say;
use super::stop::{Stop, Trouble, at};
use crate::verdict::{Score, Why};

/// How long a granter may take to make an offer: 1 s. The pause after one that made none: 200 ms.
const OFFER_NS: u64 = 1_000_000_000;
const PAUSE_NS: u64 = 200_000_000;
/// After this long without news, all domains are checked again: 3 s.
const AGAIN_NS: u64 = 3_000_000_000;
/// Maximum number of lines printed about nonsense; more is ignored silently.
const COMPLAINTS: u32 = 8;
/// Looks for granters until one has completed a run.
pub(crate) async fn run<X: Platform>(services: &Services<X>) -> Result<Score, Trouble> {
    let mut lookout = Lookout::new(services, GRANTER).await.map_err(at("demo"))?;
    let mut post = Post::new(services, MAPPER);
    // Not a number that an earlier guest in this domain used.
    let mut call = (services.system.now() >> 10) as u32;
    let (mut complaints, mut pause) = (0, AGAIN_NS);
    loop {
        let deadline = services.system.now() + pause;
        pause = AGAIN_NS;
        for granter in lookout.candidates(deadline).await.map_err(at(GRANTER))? {
            let said = look(services, granter, GRANTER).await.map_err(at(GRANTER))?;
            let Some(said) = said else {
                continue;
            };
            let trouble = if said == FREE {
                call = call.wrapping_add(1);
                post.say(format_args!("{VERSION} {granter} {call}")).await?;
                match offer(services, &mut lookout, granter, call).await? {
                    Ok(offer) => match follow::whole(services, granter, offer).await {
                        Ok(score) => return Ok(score),
                        Err(trouble) => trouble,
                    },
                    Err(trouble) => trouble,
                }
            } else if matches!(numbers(&said), Some([VERSION, _, _, _, _])) {
                // It is serving another mapper, and will say so when it is free.
                continue;
            } else {
                Why::new(format_args!("publishes nonsense in {GRANTER}")).into()
            };
            complaints += 1;
            if complaints <= COMPLAINTS {
                say(services, format_args!("demo: domain {granter} {trouble}"));
            }
            if said == FREE {
                pause = PAUSE_NS;
            }
        }
    }
}

/// The node of a granter that serves nobody.
const FREE: &[u8] = b"1 free";

/// Waits for a granter's answer to our call.
async fn offer<X: Platform>(
    services: &Services<X>,
    lookout: &mut Lookout<'_, X>,
    granter: DomId,
    call: u32,
) -> Result<Result<Offer, Stop>, Trouble> {
    let deadline = services.system.now() + OFFER_NS;
    loop {
        match lookout.news(Some(deadline)).await.map_err(at(GRANTER))? {
            News::At(domid) if domid != granter => continue,
            News::Nothing => return Ok(Err(Stop::Gone("does not answer"))),
            News::At(_) | News::Anywhere => {}
        }
        let said = look(services, granter, GRANTER).await.map_err(at(GRANTER))?;
        let Some(said) = said else {
            return Ok(Err(Stop::Gone("is gone")));
        };
        match numbers(&said) {
            Some([VERSION, whom, answers, gref, port])
                if whom == u32::from(services.domid.get()) && answers == call =>
            {
                return Ok(Ok(Offer { gref: GrantRef(gref), port: PortNumber(port) }));
            }
            Some([VERSION, ..]) => {}
            _ if said == FREE => {}
            _ => {
                return Ok(Err(Why::new(format_args!("publishes nonsense in {GRANTER}")).into()));
            }
        }
    }
}
