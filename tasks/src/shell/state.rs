// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shell's state, and how commands wait.

use alloc::vec::Vec;
use core::fmt::Write;
use core::pin::Pin;

use drivers::events::Port;
use drivers::memory::Platform;
use drivers::xenstore::Publication;
use drivers::{ClaimedDomId, Errno, Error, Services, gntdev, peers};
use embassy_futures::select::{Either, Either3, select, select3};

use super::commands::peers::Offer;
use super::input::Input;
use super::objects::Objects;
use super::reply::{Done, Failure};
use crate::demo::Granter;
use crate::machine::{Ending, Machine};
use crate::manners;
use crate::text::{Quoted, Text};

/// How long `map`, `state` and the prompt wait for xenstore.
const SIGHT_MS: u64 = 1_000;
/// The prompt that programs wait for.
const PROMPT: &str = "grantkit> ";

/// The state that commands work on.
#[derive(Debug)]
pub(crate) struct Shell<'a, X: Platform, M> {
    pub(crate) services: Services<X>,
    pub(crate) machine: M,
    pub(crate) input: &'a Input,
    pub(crate) granter: &'a Granter,
    /// The result line being written; it always keeps the memory reserved for it.
    pub(crate) line: Text,
    pub(crate) objects: Objects<X>,
    /// Ports that the shell opened.
    pub(crate) ports: Vec<Port<X>>,
    /// Shares that have names.
    pub(crate) offers: Vec<Offer<X>>,
    /// Our own name, readable by all, once published.
    pub(crate) said_name: Option<Publication<X>>,
    /// The device for maps, and the limit it was opened with.
    gntdev: Option<(u32, gntdev::Device<X>)>,
    /// Xen's time when the shell was started.
    pub(crate) started: u64,
    pub(crate) ending: Option<Ending>,
    /// The prompt, if it differs from [`PROMPT`].
    prompt: Option<Text>,
}

impl<'a, X: Platform, M: Machine> Shell<'a, X, M> {
    pub(crate) fn new(
        services: Services<X>,
        machine: M,
        input: &'a Input,
        granter: &'a Granter,
        line: Text,
    ) -> Self {
        Self {
            started: services.system.now(),
            services,
            machine,
            input,
            granter,
            line,
            objects: Objects::new(),
            ports: Vec::new(),
            offers: Vec::new(),
            said_name: None,
            gntdev: None,
            ending: None,
            prompt: None,
        }
    }

    /// Waits for `until`, for at most `ms` milliseconds: then ETIMEDOUT. Ctrl-C ends the wait:
    /// EINTR.
    pub(crate) async fn wait_for(
        &self,
        ms: Option<u64>,
        until: Pin<&mut dyn Future<Output = ()>>,
    ) -> Done {
        let late = async {
            match ms {
                Some(ms) => self.pause(ms).await,
                None => core::future::pending().await,
            }
        };
        match select(select(until, late), self.input.interrupted()).await {
            Either::First(Either::First(())) => Ok(()),
            Either::First(Either::Second(())) => Err(Failure::new(
                Errno::ETIMEDOUT,
                format_args!("waited {} ms", ms.unwrap_or_default()),
            )),
            Either::Second(()) => Err(Failure::new(Errno::EINTR, format_args!("interrupted"))),
        }
    }

    /// Whether a peer's state can be read in xenstore; `None` if xenstore doesn't say in time.
    pub(crate) async fn sees(&self, peer: ClaimedDomId) -> Option<bool> {
        let sees = manners::is_there(&self.services, peer);
        match select3(sees, self.pause(SIGHT_MS), self.input.interrupted()).await {
            Either3::First(sees) => sees,
            Either3::Second(()) | Either3::Third(()) => None,
        }
    }

    /// The prompt.
    pub(crate) fn prompt(&self) -> &str {
        self.prompt.as_ref().map_or(PROMPT, Text::as_str)
    }

    /// Sets the prompt: `plain`, or `name` for `<name>(<domid>)> `, for people.
    pub(crate) async fn set_prompt(&mut self, kind: &str) -> Done {
        self.prompt = match kind {
            "plain" => None,
            "name" => {
                let name = self.own_name().await;
                let name = name.as_deref().and_then(|name| str::from_utf8(name).ok());
                let name = name.unwrap_or("grantkit");
                let mut prompt = Text::new();
                write!(prompt, "{name}({})> ", self.services.domid)?;
                // A guest with a name for people can be found by it. Without xenstore, nobody could
                // look.
                let system = self.services.system.clone();
                let late = system.sleep_until(system.now() + SIGHT_MS * 1_000_000);
                let _ = select(self.say_name(), late).await;
                Some(prompt)
            }
            _ => {
                return Err(Failure::invalid(format_args!(
                    "prompt {} is neither plain nor name",
                    Quoted(kind)
                )));
            }
        };
        Ok(())
    }

    /// The domain's name, if it has one that can be printed.
    pub(crate) async fn own_name(&self) -> Option<Vec<u8>> {
        let name = peers::look(&self.services, self.services.domid, "name");
        match select(name, self.pause(SIGHT_MS)).await {
            Either::First(Ok(name)) => name.filter(|name| name.iter().all(u8::is_ascii_graphic)),
            _ => None,
        }
    }

    pub(crate) fn pause(&self, ms: u64) -> impl Future<Output = ()> {
        let xen = &self.services.system;
        xen.sleep_until(xen.now().saturating_add(ms.saturating_mul(1_000_000)))
    }

    /// A device for maps, with the limit as it is set now.
    pub(crate) fn gntdev(&mut self) -> Result<&gntdev::Device<X>, Error> {
        let limit = self.services.gntdev.limit();
        let opened = match self.gntdev.take() {
            Some(opened) if opened.0 == limit => opened,
            _ => (limit, self.services.gntdev.open()?),
        };
        Ok(&self.gntdev.insert(opened).1)
    }
}
