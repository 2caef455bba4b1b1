// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers to whatever clients send, between two guests on FakeXen.

use std::cell::Cell;

use embassy_futures::select::select;
use fake_xen::{FakeXen, Pair, Task};
use grantkit::prelude::*;
use vchan::{Client, GuestStream};

type Stream = GuestStream<FakeXen>;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: guest\r\nUser-Agent: a test\r\n\r\n";

/// Runs the server in Alice's guest and `client` in Bob's; returns how many channels ended with an
/// error.
fn with_server(client: impl AsyncFnOnce(&mut Client<Services<FakeXen>>, &System<FakeXen>)) -> u32 {
    let pair = Pair::new();
    let (alice, bob) = (pair.alice.services.clone(), pair.bob.services.clone());
    let (done, said) = (Cell::new(false), Cell::new(0));
    let server = async {
        let say = |_: std::fmt::Arguments<'_>| said.set(said.get() + 1);
        let until = async {
            while !done.get() {
                alice.system.sleep_until(alice.system.now() + 1_000_000).await;
            }
        };
        select(web::run(&alice, pair.bob.domid, &say), until).await;
    };
    let client = async {
        let path = format!("/local/domain/{}/{}", pair.alice.domid.get(), web::PATH);
        let mut to = Client::new(bob.clone(), pair.alice.domid, &path).unwrap();
        client(&mut to, &bob.system).await;
        done.set(true);
    };
    pair.world.run([Task::new(&pair.alice.events, server), Task::new(&pair.bob.events, client)]);
    pair.alice.gntalloc.reap(u32::MAX);
    pair.assert_clean();
    said.get() - 1 // the first line says where it serves
}

/// Everything received until the channel ends.
async fn rest(stream: &mut Stream) -> String {
    let (mut all, mut bytes) = (Vec::new(), [0; 1000]);
    while let Ok(len @ 1..) = stream.read(&mut bytes).await {
        all.extend(&bytes[..len]);
    }
    String::from_utf8(all).unwrap()
}

async fn ask(to: &mut Client<Services<FakeXen>>, request: &[u8]) -> String {
    let mut stream = to.connect().await.unwrap();
    stream.write_all(request).await.unwrap();
    rest(&mut stream).await
}

#[test]
fn the_page_tells_what_the_guest_counts_now() {
    let wrong = with_server(async |to, _| {
        let mut before = 0;
        for shown in 1..=3 {
            let answer = ask(to, GET).await;
            let (head, page) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert!(head.contains("Content-Type: text/html"), "{head}");
            assert!(head.contains("Refresh: 2"), "{head}");
            assert!(head.contains(&format!("Content-Length: {}", page.len())), "{head}");
            assert!(page.contains(&format!("{shown} pages shown")), "{page}");
            assert_eq!(page.matches("to domain 2, open, ").count(), 1, "{page}");
            assert_eq!(page.matches("to domain 2, waiting for a client, ").count(), 2, "{page}");
            assert!(page.trim_end().ends_with("</html>"), "{page}");
            let rows = page.lines().filter_map(|row| row.strip_suffix(" bytes sent"));
            let sent = rows.map(|row| row.rsplit(' ').next().unwrap().parse::<usize>().unwrap());
            assert_eq!(sent.sum::<usize>(), before, "{page}");
            before += answer.len();
            // The page and both rings of this channel are mapped; those of the next are not.
            let granted = |state| -> usize {
                let words = format!(" pages granted to domain 2, {state}\n");
                let runs = page.split("<tr>").filter_map(|row| row.strip_suffix(&*words));
                runs.map(|run| run.rsplit('>').next().unwrap().parse::<usize>().unwrap()).sum()
            };
            assert_eq!(granted("mapped-rw") + granted("mapped-ro"), 33);
            assert_eq!(granted("idle") % 33, 0);
            // The picture has a bar for each of them, which together are as wide as it.
            let bars = page.split("y=\"60\" width=\"").skip(1);
            let widths = bars.map(|bar| bar.split('"').next().unwrap().parse::<usize>().unwrap());
            let whole = page.split("viewBox=\"0 0 ").nth(2).unwrap().split(' ').next().unwrap();
            assert_eq!(widths.sum::<usize>().to_string(), whole);
        }
    });
    assert_eq!(wrong, 0);
}

#[test]
fn what_is_not_there_is_not_found_and_other_methods_are_not_allowed() {
    let wrong = with_server(async |to, _| {
        let answer = ask(to, b"GET /secret?x=1 HTTP/1.1\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        let answer = ask(to, b"DELETE / HTTP/1.1\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        let answer = ask(to, b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody").await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(ask(to, GET).await.starts_with("HTTP/1.1 200 "));
    });
    assert_eq!(wrong, 0);
}

#[test]
fn what_is_no_request_is_refused_and_the_next_client_is_served() {
    with_server(async |to, _| {
        let long = [b"GET / HTTP/1.1\r\nX: ", vec![b'x'; 60_000].as_slice(), b"\r\n\r\n"].concat();
        let bad: [&[u8]; 5] = [
            b"\r\n\r\n",
            b"nonsense\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            &[0xff; 100],
            &long,
        ];
        for request in bad {
            let answer = ask(to, request).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
            assert!(ask(to, GET).await.starts_with("HTTP/1.1 200 "));
        }
    });
}

#[test]
fn a_request_that_never_ends_ends_its_channel_and_holds_up_nobody() {
    let wrong = with_server(async |to, system| {
        let mut silent = to.connect().await.unwrap();
        let mut slow = to.connect().await.unwrap();
        slow.write_all(&GET[..20]).await.unwrap();
        assert!(ask(to, GET).await.starts_with("HTTP/1.1 200 "));
        let began = system.now();
        assert!(!rest(&mut slow).await.contains("200 OK"));
        assert!(system.now() - began < 6_000_000_000);
        assert_eq!(rest(&mut silent).await, "");
        assert!(system.now() - began < 6_000_000_000);
        assert!(ask(to, GET).await.starts_with("HTTP/1.1 200 "));
    });
    assert_eq!(wrong, 1);
}

#[test]
fn a_client_that_leaves_half_way_harms_nobody() {
    with_server(async |to, _| {
        for len in [0, 1, 20, GET.len()] {
            let mut stream = to.connect().await.unwrap();
            stream.write_all(&GET[..len]).await.unwrap();
            drop(stream);
            assert!(ask(to, GET).await.starts_with("HTTP/1.1 200 "), "{len}");
        }
    });
}
