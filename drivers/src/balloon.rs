// SPDX-License-Identifier: MIT OR Apache-2.0
//! The size of this domain: memory given back to Xen and taken again, as the toolstack asks.
//!
//! A change is whole or it is undone: whatever Xen or the guest's own use of memory leaves short,
//! the guest has afterwards what it had before. Pages in use, granted or mapped are never given
//! back: only what the allocator has free is, and a few of those are kept.

use alloc::sync::Arc;
use core::fmt;

use embassy_futures::yield_now;
use spin::Mutex;

use crate::memory::{PAGE_SIZE, Pages, Platform};
use crate::raw::{BATCH, Vacancies};
use crate::{Errno, Error};

/// Free pages that are never given back: what the guest's next work takes.
const KEPT: u32 = 64;

/// The service. Clones are the same service.
#[derive(Debug)]
pub struct Balloon<X: Platform>(Arc<BalloonService<X>>);

#[derive(Debug)]
struct BalloonService<X: Platform> {
    xen: X,
    vacancies: Mutex<Vacancies<X>>,
}

/// A change of the domain's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resized {
    /// It had that size.
    Not,
    /// So many pages went back to Xen.
    Shrunk(Pages),
    /// So many pages came.
    Grown(Pages),
}

/// Why a domain doesn't have the size that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotResized {
    /// Why.
    pub error: Error,
    /// How many pages it has more (or fewer, if negative) than before, where even undoing what was
    /// begun was refused.
    pub off: i64,
}

impl fmt::Display for NotResized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        match self.off {
            0 => Ok(()),
            off => write!(f, ", and {off:+} pages could not be undone"),
        }
    }
}

impl core::error::Error for NotResized {}

impl From<Error> for NotResized {
    fn from(error: Error) -> Self {
        Self { error, off: 0 }
    }
}

impl<X: Platform> Balloon<X> {
    pub(crate) fn new(xen: &X) -> Self {
        let vacancies = Mutex::new(Vacancies::new(xen));
        Self(Arc::new(BalloonService { xen: xen.clone(), vacancies }))
    }

    /// The domain's pages. Xen counts some more of a PVH guest, which are the toolstack's.
    pub fn pages(&self) -> Pages {
        let unmapped = self.0.vacancies.lock().unmapped();
        Pages(self.0.xen.frames().domain.saturating_add(unmapped))
    }

    /// Gives pages back or takes some, until the domain has `target`. One change at a time: a
    /// second one would count the first one's pages.
    ///
    /// # Errors
    /// ENOMEM if more is in use than would be left, or if Xen refuses; ENOSPC beyond what there is
    /// room for. The domain has then what it had before, as far as that could be undone.
    pub async fn resize(&self, target: Pages) -> Result<Resized, NotResized> {
        let now = self.pages();
        if target < now {
            let less = Pages(now.0 - target.0);
            let spare = self.0.xen.frames().free.saturating_sub(KEPT);
            if less.0 > spare {
                return Err(IN_USE.into());
            }
            self.change(less, Vacancies::give_back, Vacancies::take, -1).await?;
            return Ok(Resized::Shrunk(less));
        }
        let more = Pages(target.0 - now.0);
        if more.0 == 0 {
            return Ok(Resized::Not);
        }
        self.change(more, Vacancies::take, Vacancies::give_back, 1).await?;
        Ok(Resized::Grown(more))
    }

    /// Does all of it, or undoes what was done.
    async fn change(
        &self,
        pages: Pages,
        step: Step<X>,
        undo: Step<X>,
        sign: i64,
    ) -> Result<(), NotResized> {
        let (done, why) = self.repeat(pages.0, step).await;
        let Some(error) = why else {
            return Ok(());
        };
        let (undone, _) = self.repeat(done, undo).await;
        Err(NotResized { error, off: sign * i64::from(done - undone) })
    }

    /// Steps until there were `pages` pages, or one falls short: how many there were, and why.
    async fn repeat(&self, pages: u32, step: Step<X>) -> (u32, Option<Error>) {
        let mut done = 0;
        while done < pages {
            let (now, why) = step(&mut self.0.vacancies.lock(), (pages - done).min(BATCH as u32));
            done += now;
            if why.is_some() {
                return (done, why);
            }
            // Memory is given away piece by piece, and others work meanwhile.
            yield_now().await;
        }
        (done, None)
    }
}

type Step<X> = fn(&mut Vacancies<X>, u32) -> (u32, Option<Error>);

impl<X: Platform> Clone for Balloon<X> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The pages of so many KiB; `None` for part of a page too few to be any, or too many.
pub fn pages_of_kib(kib: u64) -> Option<Pages> {
    let pages = u32::try_from(kib / (PAGE_SIZE as u64 / 1024)).ok()?;
    (pages > 0).then_some(Pages(pages))
}

const IN_USE: Error = Error::Local(Errno::ENOMEM, "more than that is in use");
