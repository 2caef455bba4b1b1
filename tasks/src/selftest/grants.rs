// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks from the granter's side.

use drivers::gntdev::{ReadOnly, ReadWrite};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Call, Errno, PeerState};

use super::fixture::{Fixture, Verdict, Why, same};

pub(super) fn granting_is_free<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    // The fixture has made the table large enough.
    let (export, calls) =
        fixture.count(Call::GnttabSetupTable, || fixture.share(64, Access::ReadWrite));
    same("the number of hypercalls for granting", calls, [0, 0])?;
    let export = export?;
    let (ended, calls) = fixture.count(Call::GnttabSetupTable, || export.end());
    same("the number of hypercalls for ending it", calls, [0, 0])?;
    Ok(ended?)
}

pub(super) fn visible<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let export = fixture.share(2, Access::ReadWrite)?;
    let state = |page| export.states().nth(page);
    let both = || [state(0), state(1)];
    let idle = Some(PeerState::Idle);
    same("the state before", both(), [idle, idle])?;
    let readable = fixture.gntdev.reserve(&[fixture.grant(&export, 1)?])?.map::<ReadOnly>()?;
    same("the state mapped read-only", both(), [idle, Some(PeerState::MappedRo)])?;
    let writable = fixture.gntdev.reserve(&[fixture.grant(&export, 1)?])?.map::<ReadWrite>()?;
    same("the state mapped twice", both(), [idle, Some(PeerState::MappedRw)])?;
    writable.unmap()?;
    same("the state mapped once again", both(), [idle, Some(PeerState::MappedRo)])?;
    readable.unmap()?;
    same("the state after", both(), [idle, idle])?;
    Ok(export.end()?)
}

pub(super) fn busy<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let export = fixture.share(4, Access::ReadWrite)?;
    let mapping = fixture.gntdev.reserve(&[fixture.grant(&export, 2)?])?.map::<ReadWrite>()?;
    let Err(still) = export.end() else {
        return Err(Why::new(format_args!("it ended while a page of it was mapped")));
    };
    let export = still.0;
    same("the number of references", export.grefs().count(), 4)?;
    mapping.write(0, b"still shared")?;
    let mut bytes = [0; 12];
    export.read(2 * PAGE_SIZE, &mut bytes)?;
    same("what is read", bytes, *b"still shared")?;
    mapping.unmap()?;
    Ok(export.end()?)
}

pub(super) fn parked<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let gntalloc = &fixture.services.gntalloc;
    let before = gntalloc.parked();
    let export = fixture.share(3, Access::ReadWrite)?;
    let mapping = fixture.gntdev.reserve(&[fixture.grant(&export, 1)?])?.map::<ReadWrite>()?;
    drop(export);
    same("the number of parked pages", gntalloc.parked(), before + 1)?;
    gntalloc.reap(u32::MAX);
    same("the number after a try to get them back", gntalloc.parked(), before + 1)?;
    // The memory is still there for the peer.
    mapping.write(0, b"x")?;
    mapping.unmap()?;
    gntalloc.reap(u32::MAX);
    same("the number after the unmap", gntalloc.parked(), before)
}

pub(super) fn zeroed<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    const PAGES: u32 = 8;
    let export = fixture.share(PAGES, Access::ReadWrite)?;
    for page in 0..PAGES as usize {
        export.write(page * PAGE_SIZE, &[0xa5; 256])?;
        export.write((page + 1) * PAGE_SIZE - 256, &[0x5a; 256])?;
    }
    export.end()?;
    let export = fixture.share(PAGES, Access::ReadWrite)?;
    let mut chunk = [0; 256];
    for offset in (0..export.size()).step_by(chunk.len()) {
        export.read(offset, &mut chunk)?;
        if chunk != [0; 256] {
            return Err(Why::new(format_args!("there is something at {offset}")));
        }
    }
    Ok(export.end()?)
}

pub(super) fn limit<X: Platform>(fixture: &Fixture<'_, X>) -> Verdict {
    let gntalloc = &fixture.services.gntalloc;
    let limit = gntalloc.limit();
    let export = fixture.share(1, Access::ReadWrite)?;
    let mapping = fixture.map::<ReadWrite>(&export)?;
    drop(export);
    // There would be room for one more, but for the parked page.
    gntalloc.set_limit(fixture.charged());
    let refused = fixture.share(1, Access::ReadWrite).err().map(|error| error.errno());
    mapping.unmap()?;
    let granted = fixture.share(1, Access::ReadWrite).map(drop);
    gntalloc.set_limit(limit);
    same("the answer beyond the limit", refused, Some(Errno::ENOSPC))?;
    Ok(granted?)
}
