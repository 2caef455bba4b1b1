// SPDX-License-Identifier: MIT OR Apache-2.0
//! The self-test, and the two roles of the demo.

use core::fmt::Write;
use core::pin::pin;

use drivers::Errno;
use drivers::memory::Platform;

use crate::machine::Machine;
use crate::shell::args::Args;
use crate::shell::reply::{Done, Failure};
use crate::shell::state::Shell;
use crate::text::Text;
use crate::verdict::Score;
use crate::{demo, selftest};

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `selftest`
    pub(crate) async fn selftest(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        args.end()?;
        judge(selftest::run(&self.services).await, ok)
    }

    /// `demo granter`
    pub(crate) async fn demo_granter(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        args.end()?;
        let mut outcome = Ok(Score::default());
        self.wait_for(None, pin!(async { outcome = self.granter.run().await })).await?;
        judge(outcome?, ok)
    }

    /// `demo mapper`
    pub(crate) async fn demo_mapper(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        args.end()?;
        let mut outcome = Ok(Score::default());
        self.wait_for(None, pin!(async { outcome = demo::mapper(&self.services).await })).await?;
        judge(outcome?, ok)
    }
}

/// The result of a command that ran checks.
fn judge(score: Score, ok: &mut Text) -> Done {
    if score.failed > 0 {
        return Err(Failure::new(Errno::EIO, format_args!("{score}")));
    }
    Ok(write!(ok, " {score}")?)
}

/// Why the demo can't go on.
impl From<demo::Trouble> for Failure {
    fn from(trouble: demo::Trouble) -> Self {
        Failure::new(trouble.error.errno(), format_args!("{trouble}"))
    }
}
