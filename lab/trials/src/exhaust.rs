//! The last grant, the last mapping and the last event channel: each gives the error that the contract says,
//! everything else goes on working meanwhile, and one that is freed serves again.
//!
//! For a domain with small tables of its own; it maps its own grants. Every round uses up each of the three by
//! itself and then all at once, and leaves every count as it was.

mod others; // what must go on working

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use drivers::events::Port;
use drivers::gntalloc::{self, Export};
use drivers::gntdev::{self, Mapping, ReadWrite, Reservation};
use drivers::memory::Platform;
use drivers::{Access, Errno, Error, ForeignGrant, GrantStatus, Services};

use self::others::Others;
use tasks::verdict::{InUse, Verdict, Why, equal};

/// More than a domain with small tables has of anything.
const MORE: usize = 512;

/// Mappings of one kind that one reference takes.
const PINS: usize = 128;

/// How many there were of each, what was in use before included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    grants: u32,
    mappings: u32,
    ports: u32,
}

/// One thing that a domain has only so many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scarce {
    Grants,
    Mappings,
    Ports,
}

impl Scarce {
    const ALL: &[Self] = &[Self::Grants, Self::Mappings, Self::Ports];

    /// What the call says that asks for one too many.
    fn refusal(self) -> (Errno, Option<GrantStatus>) {
        match self {
            Self::Grants | Self::Ports => (Errno::ENOSPC, None),
            Self::Mappings => (Errno::ENOMEM, Some(GrantStatus::NO_SPACE)),
        }
    }
}

/// Runs so many rounds, after one that isn't counted: it makes what is made only once, and in it `full` is awaited
/// while nothing is left of anything. The line that says how they went, as a command of the shell would. `heap`
/// tells the bytes of the heap in use.
pub async fn run<X: Platform>(
    services: &Services<X>,
    heap: &dyn Fn() -> u64,
    rounds: u32,
    full: impl Future<Output = ()>,
) -> String {
    match all(services, heap, rounds, full).await {
        Ok(words) => format!("ok exhaust {words}"),
        Err(why) => format!("error exhaust errno=EIO status=- {why}"),
    }
}

async fn all<X: Platform>(
    services: &Services<X>,
    heap: &dyn Fn() -> u64,
    rounds: u32,
    full: impl Future<Output = ()>,
) -> Result<String, Why> {
    let start = InUse::of(services);
    let counts = round(services, full).await?;
    let before = (InUse::of(services), heap());
    // Page tables are kept, and so are tables that have grown.
    equal("what is in use but frames", InUse { frames: start.frames, ..before.0 }, start)?;
    for number in 1..=rounds {
        let of_round = |why: Why| Why::new(format_args!("round {number}: {why}"));
        let again = round(services, async {}).await.map_err(of_round)?;
        equal("how many there were", again, counts).map_err(of_round)?;
        let after = (InUse::of(services), heap());
        equal("what is in use, with the heap,", after, before).map_err(of_round)?;
    }
    let Counts { grants, mappings, ports } = counts;
    Ok(format!("rounds={rounds} grants={grants} mappings={mappings} ports={ports}"))
}

async fn round<X: Platform>(
    services: &Services<X>,
    full: impl Future<Output = ()>,
) -> Result<Counts, Why> {
    let domain = Domain::open(services)?;
    let others = Others::open(services)?;
    others.go_on(&[]).await?;
    let grants = domain.last_grant(&others).await?;
    let mappings = domain.last_mapping(&others).await?;
    let ports = domain.last_port(&others).await?;
    let counts = Counts { grants, mappings, ports };
    equal("how many there are all at once", domain.all_at_once(&others, full).await?, counts)?;
    others.go_on(&[]).await?;
    Ok(counts)
}

/// The domain, with both devices open.
#[derive(Debug)]
struct Domain<'a, X: Platform> {
    services: &'a Services<X>,
    gntalloc: gntalloc::Handle<X>,
    gntdev: gntdev::Handle<X>,
}

impl<'a, X: Platform> Domain<'a, X> {
    fn open(services: &'a Services<X>) -> Result<Self, Error> {
        let (gntalloc, gntdev) = (services.gntalloc.open()?, services.gntdev.open()?);
        Ok(Self { services, gntalloc, gntdev })
    }

    fn counts(&self) -> Counts {
        Counts {
            grants: self.services.table.in_use(),
            mappings: self.services.gntdev.usage().mapped,
            ports: self.services.events.open_ports(),
        }
    }

    fn grant(&self, pages: u32) -> Result<Export<X>, Error> {
        self.gntalloc.alloc(self.services.domid, pages, Access::ReadWrite)
    }

    fn reserve(&self, export: &Export<X>, page: usize) -> Result<Reservation<X>, Error> {
        let domid = self.services.domid.get();
        let grant = export.grefs().nth(page).map(|gref| ForeignGrant { domid, gref });
        self.gntdev.insert(grant.as_slice())
    }

    /// Maps the next page of some.
    fn map(&self, exports: &[Export<X>], number: usize) -> Result<Mapping<X, ReadWrite>, Error> {
        let reservation = self.reserve(&exports[number % exports.len()], 0)?;
        reservation.map().map_err(|failed| failed.error)
    }

    fn port(&self) -> Result<Port<X>, Error> {
        self.services.events.alloc_unbound(self.services.domid)
    }

    async fn last_grant(&self, others: &Others<'_, X>) -> Result<u32, Why> {
        let mut exports = use_up(Scarce::Grants, |_| self.grant(1))?;
        let count = self.counts().grants;
        others.go_on(&[Scarce::Grants]).await?;
        // Two for one that is free: all or nothing.
        exports.pop();
        let two = self.grant(2);
        refused(Scarce::Grants, &two)?;
        equal("the number of grants", self.counts().grants, count - 1)?;
        Ok(count)
    }

    async fn last_mapping(&self, others: &Others<'_, X>) -> Result<u32, Why> {
        let mut exports = Vec::new();
        for _ in 0..MORE / PINS + 1 {
            exports.push(self.grant(1)?);
        }
        let mut mappings = use_up(Scarce::Mappings, |number| self.map(&exports, number))?;
        let count = self.counts().mappings;
        others.go_on(&[Scarce::Mappings]).await?;
        // What was refused stays reserved, and maps as soon as it can.
        let Err(failed) = self.reserve(&exports[0], 0)?.map::<ReadWrite>() else {
            return Err(Why::new(format_args!("one mapping too many was made")));
        };
        mappings.pop();
        let mapping = failed.value.map::<ReadWrite>()?;
        equal("the number of mappings", self.counts().mappings, count)?;
        drop((mapping, mappings));
        Ok(count)
    }

    async fn last_port(&self, others: &Others<'_, X>) -> Result<u32, Why> {
        let offered = self.port()?;
        let mut ports = use_up(Scarce::Ports, |_| self.port())?;
        let count = self.counts().ports;
        others.go_on(&[Scarce::Ports]).await?;
        // Binding takes a port, too; what is offered stays so.
        let events = &self.services.events;
        let bind = || events.bind_interdomain(self.services.domid, offered.number());
        refused(Scarce::Ports, &bind())?;
        ports.pop();
        bind()?;
        Ok(count)
    }

    async fn all_at_once(
        &self,
        others: &Others<'_, X>,
        full: impl Future<Output = ()>,
    ) -> Result<Counts, Why> {
        let exports = use_up(Scarce::Grants, |_| self.grant(1))?;
        let mappings = use_up(Scarce::Mappings, |number| self.map(&exports, number))?;
        let ports = use_up(Scarce::Ports, |_| self.port())?;
        let counts = self.counts();
        others.go_on(Scarce::ALL).await?;
        full.await;
        others.go_on(Scarce::ALL).await?;
        drop(mappings);
        drop((exports, ports));
        Ok(counts)
    }
}

/// Makes as many as there can be. Wherever one is freed, one can be made again, and no more.
fn use_up<T>(what: Scarce, mut make: impl FnMut(usize) -> Result<T, Error>) -> Result<Vec<T>, Why> {
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

/// Fails unless this was refused as it must be.
fn refused<T>(what: Scarce, result: &Result<T, Error>) -> Verdict {
    let said = result.as_ref().err().map(|error| (error.errno(), error.status()));
    match said {
        None => Err(Why::new(format_args!("{what:?}: one too many was made"))),
        Some(said) => equal("the error of one too many", said, what.refusal()),
    }
}
