//! A write to a published node can't outlive the publication.

use drivers::xenstore::Publication;
use fake_xen::FakeXen;

async fn writing_to_a_publication_that_is_gone_does_not_compile(node: Publication<FakeXen>) {
    let write = node.write(b"again");
    drop(node);
    let _ = write.await;
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
