// SPDX-License-Identifier: MIT OR Apache-2.0
//! Channels at the shells of two guests.
#![cfg(feature = "channels")]

mod common;

use common::{of_error, pair, refusal, script, value};
use drivers::shared::SharedMut;

/// The result lines of a server in domain 1 and a client in domain 2.
fn both(serve: &str, connect: &str) -> (String, String) {
    let (world, one, two) = &pair();
    let serve = format!("-- vchan serve 2 data/c {serve}; poweroff");
    let connect = format!("-- vchan connect 1 /local/domain/1/data/c {connect}; poweroff");
    world.run([one.task(&serve, async {}), two.task(&connect, async {})]);
    one.gntalloc.reap(u32::MAX);
    one.xen.assert_clean();
    two.xen.assert_clean();
    (one.results()[0].clone(), two.results()[0].clone())
}

fn same(lines: &(String, String), bytes: &str) {
    let (server, client) = lines;
    assert!(server.starts_with("ok vchan serve "), "{server}");
    assert!(client.starts_with("ok vchan connect "), "{client}");
    assert_eq!((value(server, "bytes"), value(client, "bytes")), (bytes, bytes));
    assert_eq!(value(server, "crc32"), value(client, "crc32"));
}

#[test]
fn what_a_source_sends_a_sink_gets_either_way() {
    for bytes in ["0", "1", "4095", "300000"] {
        same(&both(&format!("source {bytes}"), &format!("sink {bytes}")), bytes);
        same(&both(&format!("sink {bytes} ring=1024"), &format!("source {bytes}")), bytes);
    }
    // 64 pages of the stream of seed 1, as written by `fill`.
    let fill = &script("share 0 64; fill 1 1; unshare 1")[1];
    let (served, _) = both("source 262144", "sink 262144");
    assert_eq!(value(&served, "crc32"), value(fill, "crc32"));
}

#[test]
fn a_ping_is_a_byte_each_way_and_two_events() {
    let lines = both("echo 1000", "ping 1000");
    same(&lines, "1000");
    let events = |line: &str| value(line, "events").parse::<u32>().unwrap();
    // Plus the event of the client's arrival, and the first requests of both.
    assert!((1000..=1002).contains(&events(&lines.0)), "{lines:?}");
    assert!((1000..=1002).contains(&events(&lines.1)), "{lines:?}");
    assert!(lines.1.contains(" ms=") && lines.1.contains(" rtt="), "{}", lines.1);
}

#[test]
fn a_stream_of_whole_rings_is_two_events_for_each() {
    let lines = both("source 655360 ring=65536", "sink 655360");
    same(&lines, "655360");
    let events = |line: &str| value(line, "events").parse::<u32>().unwrap();
    assert!(events(&lines.0) + events(&lines.1) <= 2 * 10 + 1, "{lines:?}");
}

#[test]
fn packets_of_the_same_seed_pass_whole_at_both_ends_or_against_a_stream() {
    let (ring, seed) = (" ring=131072", " packets=2");
    for (serve, connect) in [(seed, seed), (seed, ""), ("", seed)] {
        let source = format!("source 1000000{ring}{serve}");
        same(&both(&source, &format!("sink 1000000{connect}")), "1000000");
        let sink = format!("sink 1000000{ring}{serve}");
        same(&both(&sink, &format!("source 1000000{connect}")), "1000000");
    }
    // A packet larger than its ring is refused without waiting.
    let (_, line) = both("source 1000000 ring=1024", "sink 1000000 packets=2");
    assert_eq!(of_error(&line), "E2BIG -");
}

#[test]
fn fewer_bytes_than_asked_are_epipe_with_their_number() {
    let (served, connected) = both("source 1000", "sink 1001");
    assert!(served.starts_with("ok vchan serve bytes=1000 "));
    assert_eq!(of_error(&connected), "EPIPE -");
    assert_eq!(value(&connected, "bytes"), "1000");
    let (served, connected) = both("echo 10", "ping 5");
    assert_eq!((of_error(&served), value(&served, "bytes")), ("EPIPE -".into(), "5"));
    assert!(connected.starts_with("ok vchan connect bytes=5 "));
}

#[test]
fn a_guest_is_its_own_peer_from_two_shells_or_one_after_the_other() {
    // Alone, nobody connects, and Ctrl-C ends the wait.
    let guest = common::ShellGuest::alone();
    let user = async {
        guest.expect("ready after").await;
        guest.xen.console_type("vchan serve 1 data/c echo 1\r");
        guest.pause(50).await;
        guest.ask("\x03", "error vchan serve errno=EINTR").await;
        guest.xen.console_type("vchan connect 1 data/c ping 1\r");
        guest.pause(50).await;
        guest.ask("\x03", "error vchan connect errno=EINTR").await;
        guest.xen.console_type("poweroff\r");
    };
    guest.run_beside("", user);
    guest.end();
}

#[test]
fn cat_joins_a_channel_and_the_console() {
    let (world, one, two) = &pair();
    let serve = "-- vchan serve 2 data/c echo 6; poweroff";
    let user = async {
        two.xen.console_type("vchan cat 1 /local/domain/1/data/c\r");
        two.pause(100).await;
        two.xen.console_type("hello!");
        // The peer closes after that many bytes.
        let output = two.expect("ok vchan cat bytes=6 ").await;
        assert!(output.contains("\nhello!\n"), "{output}");
        two.xen.console_type("poweroff\r");
    };
    world.run([one.task(serve, async {}), two.task("", user)]);
    assert_eq!(value(&one.results()[0], "crc32"), value(&two.results()[0], "crc32"));
}

#[test]
fn a_ctrl_d_ends_cat_and_what_was_typed_before_is_sent() {
    let (world, one, two) = &pair();
    let serve = "-- vchan serve 2 data/c sink 100; poweroff";
    let user = async {
        two.xen.console_type("vchan cat 1 /local/domain/1/data/c\r");
        two.pause(100).await;
        two.xen.console_type("some text\x04poweroff\r");
        two.expect("ok vchan cat bytes=0 ").await;
    };
    world.run([one.task(serve, async {}), two.task("", user)]);
    assert_eq!(value(&one.results()[0], "bytes"), "9");
}

#[test]
fn a_peer_that_breaks_the_protocol_is_eio() {
    let (world, one, two) = &pair();
    let harm = async {
        let store = two.xenstore.clone().unwrap();
        let number = |value: Vec<u8>| String::from_utf8(value).unwrap().parse::<u32>().unwrap();
        two.pause(1000).await;
        let node = |name| format!("/local/domain/1/data/c/{name}");
        let port = number(store.read(&node("event-channel")).await.unwrap());
        let page = number(store.read(&node("ring-ref")).await.unwrap());
        let peer = drivers::DomId::new(1).unwrap();
        let port = two.events.bind_interdomain(peer, drivers::PortNumber(port)).unwrap();
        let claim = drivers::ClaimedGrant::new(1, page);
        let page = two.reserve(&[claim]).map::<drivers::gntdev::ReadWrite>().unwrap();
        page.store_u32(4, 0x7fff_ffff).unwrap();
        page.write(20, &[1]).unwrap();
        port.send().unwrap();
        one.expect("error vchan serve errno=EIO").await;
        drop(page);
        two.xen.console_type("poweroff\r");
    };
    let serve = "-- vchan serve 2 data/c sink 100; poweroff";
    world.run([one.task(serve, async {}), two.task("", harm)]);
    assert_eq!(value(&one.results()[0], "bytes"), "0");
}

#[test]
fn wrong_arguments_are_refused() {
    for wrong in [
        "vchan serve",
        "vchan serve 2 data/c",
        "vchan serve 2 data/c ping 5",
        "vchan serve 2 data/c echo",
        "vchan serve 2 data/c echo x",
        "vchan serve 2 data/c echo 5 ring",
        "vchan serve 2 data/c echo 5 ring=1023",
        "vchan serve 2 data/c echo 5 ring=1048577",
        "vchan serve 2 data/c echo 5 ring=4096 more",
        "vchan serve 2 data/c echo 5 packets=2",
        "vchan serve 2 data/c sink 5 packets=x",
        "vchan serve 40000 data/c echo 5",
        "vchan connect 2 data/c gulp 5",
        "vchan connect 2 data/c echo 5 ring=4096",
        "vchan cat 2",
        "vchan cat 2 data/c more",
    ] {
        assert_eq!(refusal(wrong), "EINVAL -", "{wrong}");
    }
    // Not ours to write.
    assert_eq!(refusal("vchan serve 2 /local/domain/2/data/c echo 5"), "EACCES -");
}
