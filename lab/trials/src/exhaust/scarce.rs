// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a domain has a limited number of: how to use it up, and the error for one too many.

use alloc::vec::Vec;

use drivers::memory::Platform;
use drivers::{Errno, Error, GrantStatus, Services};
use tasks::verdict::{Verdict, Why, equal};

/// More than a domain with small tables has of any of them.
pub(super) const MORE: usize = 512;

/// The number of each, including those in use before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Supplies {
    pub(super) grants: u32,
    pub(super) mappings: u32,
    pub(super) ports: u32,
}

/// One kind of thing that a domain has a limited number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scarce {
    Grants,
    Mappings,
    Ports,
}

impl Scarce {
    pub(super) const ALL: &[Self] = &[Self::Grants, Self::Mappings, Self::Ports];

    /// Returns the error for one too many.
    fn refusal(self) -> (Errno, Option<GrantStatus>) {
        match self {
            Self::Grants | Self::Ports => (Errno::ENOSPC, None),
            Self::Mappings => (Errno::ENOMEM, Some(GrantStatus::NO_SPACE)),
        }
    }
}

impl Supplies {
    /// Returns how many are in use now.
    pub(super) fn of<X: Platform>(services: &Services<X>) -> Self {
        Self {
            grants: services.gntalloc.in_use(),
            mappings: services.gntdev.usage().mapped,
            ports: services.events.open_ports(),
        }
    }
}

/// Makes as many as there can be. Checks that for each one freed, exactly one can be made again.
pub(super) fn use_up<T>(
    what: Scarce,
    mut make: impl FnMut(usize) -> Result<T, Error>,
) -> Result<Vec<T>, Why> {
    let mut all = Vec::new();
    all.try_reserve_exact(MORE).map_err(|_| Error::NO_MEMORY)?;
    let last = loop {
        match make(all.len()) {
            Ok(_) if all.len() == MORE => {
                return Err(Why::new(format_args!("{what:?}: there are more than {MORE}")));
            }
            Ok(one) => all.push(one),
            refused => break refused,
        }
    };
    refused(what, &last)?;
    for place in [0, all.len() / 2, all.len() - 1] {
        drop(all.remove(place));
        all.push(make(place).map_err(|error| {
            Why::new(format_args!("{what:?}: one was freed, and yet: {error}"))
        })?);
        refused(what, &make(place))?;
    }
    Ok(all)
}

/// Fails unless `result` is the error for one too many.
pub(super) fn refused<T>(what: Scarce, result: &Result<T, Error>) -> Verdict {
    let said = result.as_ref().err().map(|error| (error.errno(), error.status()));
    match said {
        None => Err(Why::new(format_args!("{what:?}: one too many was made"))),
        Some(said) => equal("the error of one too many", said, what.refusal()),
    }
}
