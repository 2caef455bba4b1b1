// SPDX-License-Identifier: MIT OR Apache-2.0
//! How granter and mapper find each other through xenstore.
//!
//! Each has one node below its own `data/` that all domains may read. Values are decimal numbers of
//! 32 bits, separated by single blanks; the first is [`VERSION`].
//!
//! * [`GRANTER`]: `1 free`, or an offer, `1 <mapper's domid> <call> <gref> <port>`: the reference
//!   of the control page and an unbound port for that mapper.
//! * [`MAPPER`]: a call, `1 <granter's domid> <call>`, where `<call>` tells one call from the next.
//!   The offer in reply repeats the number.
//!
//! [`peers`] publishes these nodes and looks for them. A node of any other form is ignored.

use core::fmt::{self, Write};

use drivers::memory::Platform;
use drivers::xenstore::{Publication, Reader, decimal, persist};
use drivers::{Error, Services, peers};

use super::stop::{Trouble, at};
use crate::text::Text;

/// The granter's node, relative to its `/local/domain/<domid>`.
pub const GRANTER: &str = "data/grantkit/demo/granter";
/// The mapper's node, likewise relative.
pub const MAPPER: &str = "data/grantkit/demo/mapper";
/// The version of the protocol, the first number of every node.
pub const VERSION: u32 = 1;

/// Exactly `N` decimal numbers of 32 bits, each after one blank; `None` for anything else.
pub fn numbers<const N: usize>(value: &[u8]) -> Option<[u32; N]> {
    let mut words = str::from_utf8(value).ok()?.split(' ');
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = decimal(words.next()?.as_bytes())?;
    }
    words.next().is_none().then_some(numbers)
}

/// Our node, which others read. Dropping it removes it.
#[derive(Debug)]
pub struct Post<'a, X: Platform> {
    services: &'a Services<X>,
    path: &'static str,
    /// Set once it is written.
    node: Option<Publication<X>>,
}

impl<'a, X: Platform> Post<'a, X> {
    /// A node that isn't written yet.
    pub fn new(services: &'a Services<X>, path: &'static str) -> Self {
        Self { services, path, node: None }
    }

    /// Writes the node's value, for all to read.
    ///
    /// # Errors
    /// Xenstore's, with the path; ENOMEM.
    pub async fn say(&mut self, words: fmt::Arguments<'_>) -> Result<(), Trouble> {
        self.publish(words).await.map_err(at(self.path))
    }

    async fn publish(&mut self, words: fmt::Arguments<'_>) -> Result<(), Error> {
        let mut value = Text::new();
        value.write_fmt(words).map_err(|_| Error::NO_MEMORY)?;
        let value = value.as_str().as_bytes();
        match &self.node {
            Some(node) => persist(&self.services.system, &|| node.write(value)).await.map(drop),
            None => {
                let node = peers::publish(self.services, self.path, value, Reader::Anyone).await?;
                self.node = Some(node);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_says_anything_else_is_nonsense() {
        assert_eq!(numbers::<3>(b"1 2 4294967295"), Some([1, 2, u32::MAX]));
        for nonsense in [
            &b""[..],
            b"1 2",
            b"1 2 3 4",
            b"1 2 3 ",
            b" 1 2 3",
            b"1  2 3",
            b"1 2 4294967296",
            b"1 +2 3",
            b"1 -2 3",
            b"1 2 x",
            b"1 2 \xff",
            b"1 2 3\0",
            &[b'9'; 4000],
        ] {
            assert_eq!(numbers::<3>(nonsense), None, "{nonsense:?}");
        }
    }
}
