// SPDX-License-Identifier: MIT OR Apache-2.0
//! The size of this domain: memory given back to Xen and taken again, as the toolstack requests.
//!
//! A change is complete or undone: if Xen or the guest's own memory use stops it halfway, the guest
//! gets its old size back. Only pages that are free in the allocator are given back, never pages in
//! use, granted or mapped, and a few free ones are kept.

use alloc::sync::Arc;
use core::fmt;

use crate::lock::Mutex;
use embassy_futures::yield_now;

use crate::memory::{PAGE_SIZE, Pages, Platform};
use crate::raw::{BATCH, Vacancies};
use crate::{Errno, Error};

/// Free pages that are never given back, for the guest's next work.
const KEPT: u32 = 64;

/// The balloon service. Clones refer to the same service.
#[derive(Debug)]
pub struct Balloon<X: Platform>(Arc<BalloonService<X>>);

#[derive(Debug)]
struct BalloonService<X: Platform> {
    xen: X,
    vacancies: Mutex<Vacancies<X>>,
}

/// How the domain's size changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resized {
    /// Not at all: it already had that size.
    Not,
    /// This many pages went back to Xen.
    Shrunk(Pages),
    /// This many pages were added.
    Grown(Pages),
}

/// Why a domain doesn't have the requested size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotResized {
    /// The error.
    pub error: Error,
    /// How many more pages (fewer, if negative) the domain has than before, because even undoing
    /// the change failed.
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

    /// Returns the domain's size in pages. For a PVH guest, Xen's own count is higher by the
    /// toolstack's pages.
    pub fn pages(&self) -> Pages {
        let unmapped = self.0.vacancies.lock().unmapped();
        Pages(self.0.xen.frames().domain.saturating_add(unmapped))
    }

    /// Gives back or takes pages until the domain has `target`. Make one change at a time: a second
    /// one would count the first one's pages.
    ///
    /// # Errors
    /// ENOMEM if more pages are in use than would be left, or if Xen refuses; ENOSPC if there is no
    /// room for that many pages. The domain then has its old size, as far as the change could be
    /// undone.
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

    /// Makes the whole change, or undoes what was done of it.
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

    /// Repeats `step` until `pages` pages are done or a step falls short. Returns how many were
    /// done, and the error if any.
    async fn repeat(&self, pages: u32, step: Step<X>) -> (u32, Option<Error>) {
        let mut done = 0;
        while done < pages {
            let (now, why) = step(&mut self.0.vacancies.lock(), (pages - done).min(BATCH as u32));
            done += now;
            if why.is_some() {
                return (done, why);
            }
            // Work in small batches, so that other tasks run in between.
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

/// Returns how many whole pages `kib` KiB are; `None` for less than one page or for too many.
pub fn pages_of_kib(kib: u64) -> Option<Pages> {
    let pages = u32::try_from(kib / (PAGE_SIZE as u64 / 1024)).ok()?;
    (pages > 0).then_some(Pages(pages))
}

const IN_USE: Error = Error::Local(Errno::ENOMEM, &"more than that is in use");
