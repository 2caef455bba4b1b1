// SPDX-License-Identifier: MIT OR Apache-2.0
//! Access to the bytes of shares and maps.

use core::fmt::Write;

use drivers::memory::{PAGE_SIZE, Platform};
use embassy_futures::yield_now;

use crate::machine::Machine;
use crate::pattern::{self, SplitMix64};

use crate::shell::args::Args;
use crate::shell::reply::Done;
use crate::shell::state::Shell;
use crate::text::Text;

/// Maximum number of bytes that `read` shows.
const READ: usize = 256;
/// Number of pages between yields.
const TURN: usize = 64;

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `read <id> <offset> <len>`
    pub(crate) fn read(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let id = args.number("<id>")?;
        let (offset, len) = (args.number("<offset>")?, args.number("<len>")?);
        args.end()?;
        let object = self.objects.get(id)?;
        let mut buffer = [0; READ];
        let Some(bytes) = buffer.get_mut(..len) else {
            return Err(args.wrong(format_args!("<len> {len} is more than {READ}")));
        };
        object.shared().read(offset, bytes)?;
        write!(ok, " id={id} offset={offset} len={len} hex=")?;
        for byte in &*bytes {
            write!(ok, "{byte:02x}")?;
        }
        write!(ok, " text=")?;
        for byte in &*bytes {
            let printable = byte.is_ascii_graphic() || *byte == b' ';
            ok.write_char(if printable { char::from(*byte) } else { '.' })?;
        }
        Ok(())
    }

    /// `write <id> <offset> <text>`
    pub(crate) fn write(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (id, offset) = (args.number("<id>")?, args.number("<offset>")?);
        let text = args.rest_of_line("<text>")?;
        let range = self.objects.get(id)?.shared_mut()?;
        range.write(offset, text.as_bytes())?;
        Ok(write!(ok, " id={id} offset={offset} len={}", text.len())?)
    }

    /// `fill <id> <seed>`
    pub(crate) fn fill(
        &mut self,
        args: &mut Args<'_>,
        ok: &mut Text,
    ) -> impl Future<Output = Done> {
        self.each_page(true, args, ok)
    }

    /// `sum <id>`
    pub(crate) fn sum(&mut self, args: &mut Args<'_>, ok: &mut Text) -> impl Future<Output = Done> {
        self.each_page(false, args, ok)
    }

    /// Fills each page, or only sums it.
    async fn each_page(&mut self, fills: bool, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let id = args.number("<id>")?;
        let seed = if fills { Some(args.number("<seed>")?) } else { None };
        args.end()?;
        let object = self.objects.get(id)?;
        let mut filled = match seed {
            Some(seed) => Some((object.shared_mut()?, SplitMix64::new(seed))),
            None => None,
        };
        let (range, mut crc) = (object.shared(), pattern::crc());
        let pages = range.size() / PAGE_SIZE;
        for first in (0..pages).step_by(TURN) {
            let turn = first..pages.min(first + TURN);
            match &mut filled {
                Some((range, stream)) => pattern::fill(*range, turn, stream, &mut crc)?,
                None => pattern::sum(range, turn, &mut crc)?,
            }
            yield_now().await;
        }
        let (bytes, crc) = (range.size(), crc.finalize());
        Ok(write!(ok, " id={id} bytes={bytes} crc32={crc:08x}")?)
    }
}
