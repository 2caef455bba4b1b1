//! The library on a fake Xen that is stricter than the real one, with two guests.

use fake_xen::Pair;
use grantkit::prelude::*;

#[test]
fn the_peer_reads_the_greeting() {
    let pair = Pair::new();
    let page = @crate@::greet(&pair.alice, pair.bob.domid, b"hello").expect("there is room");
    let mapping = pair.bob.map::<ReadOnly>(&pair.alice.offer(&page));
    let mut text = [0; 5];
    mapping.read(0, &mut text).expect("inside the page");
    assert_eq!(&text, b"hello");
    drop((mapping, page));
    pair.assert_clean();
}

#[test]
fn a_text_longer_than_a_page_is_refused_and_leaves_nothing() {
    let pair = Pair::new();
    let refused = @crate@::greet(&pair.alice, pair.bob.domid, &[b'x'; 4097]);
    assert_eq!(refused.unwrap_err().errno(), Errno::EINVAL);
    pair.assert_clean();
}
