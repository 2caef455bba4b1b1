// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sharing by name, and errors that say what to do.

mod common;

use common::{SEC, ShellGuest, of_error, pair, script, value};
use fake_xen::World;

fn named(world: &World, domid: u16, name: &str) -> ShellGuest {
    let guest = ShellGuest::new(world, domid);
    world.xenstore_write(&format!("/local/domain/{domid}/name"), name);
    guest
}

#[test]
fn a_share_is_offered_and_taken_by_name_and_nobody_copies_references() {
    let world = World::new();
    let (granter, mapper) = (named(&world, 1, "granter"), named(&world, 2, "mapper"));
    let people = async {
        mapper.expect("mapper(2)> ").await;
        granter.ask("share mapper 3\r", "ok share id=1 domid=2").await;
        granter.ask("write 1 4096 hello\r", "ok write").await;
        let offered = granter.ask("offer 1 frames\r", "ok offer").await;
        assert!(offered.ends_with("ok offer id=1 name=frames"), "{offered}");
        let peers = mapper.ask("peers\r", "ok peers").await;
        assert!(peers.contains("\npeer domid=1 name=granter offers=frames\n"), "{peers}");
        assert_eq!(value(&peers, "peers"), "1");
        let taken = mapper.ask("take granter frames\r", "ok take").await;
        assert!(taken.contains("ok take id=1 domid=1 pages=3 access=rw va="), "{taken}");
        let read = mapper.ask("read 1 4096 5\r", "ok read").await;
        assert_eq!(value(&read, "text"), "hello");
        mapper.ask("unmap 1\r", "ok unmap").await;
        // The name goes with the share.
        granter.ask("unshare 1\r", "ok unshare").await;
        let gone = mapper.ask("take 1 frames\r", "error take").await;
        assert_eq!(of_error(gone.lines().last().unwrap()), "ENOENT -");
        let peers = mapper.ask("peers\r", "ok peers").await;
        assert!(peers.contains("\npeer domid=1 name=granter offers=-\n"), "{peers}");
        for guest in [&granter, &mapper] {
            guest.xen.console_type("poweroff\r");
        }
    };
    world.run([granter.task("prompt=name", people), mapper.task("prompt=name", async {})]);
    granter.end();
    mapper.end();
}

#[test]
fn a_read_only_offer_says_so_to_whom_wants_to_write() {
    let (world, one, two) = pair();
    let people = async {
        one.ask("share 2 1 ro\r", "ok share").await;
        one.ask("offer 1 note\r", "ok offer").await;
        let refused = two.ask("take 1 note\r", "error take").await;
        assert!(refused.ends_with("domain 1 offers note for reading; add ro"), "{refused}");
        two.ask("take 1 note ro\r", "ok take").await;
        let twice = one.ask("offer 1 note\r", "error offer").await;
        assert_eq!(of_error(twice.lines().last().unwrap()), "EEXIST -");
        two.ask("unmap 1\r", "ok unmap").await;
        for guest in [&one, &two] {
            guest.xen.console_type("poweroff\r");
        }
    };
    world.run([one.task("", people), two.task("", async {})]);
    one.end();
    two.end();
}

#[test]
fn an_offer_is_for_the_shares_peer_alone() {
    let (world, one, two) = pair();
    let people = async {
        one.ask("share 7 1\r", "ok share").await;
        one.ask("offer 1 secret\r", "ok offer").await;
        let refused = two.ask("take 1 secret\r", "error take").await;
        assert!(refused.contains("ENOENT"), "{refused}");
        for guest in [&one, &two] {
            guest.xen.console_type("poweroff\r");
        }
    };
    world.run([one.task("", people), two.task("", async {})]);
    one.end();
    two.end();
}

/// Domain 200 alone, with peers that publish what a test wants.
fn among(peers: &[(u16, &str, &[u8])], commands: &str) -> Vec<String> {
    let guest = ShellGuest::alone_with(200, fake_xen::Config::default());
    for (domid, rest, value) in peers {
        if guest.xen.world().xenstore_read(&format!("/local/domain/{domid}")).is_none() {
            guest.xen.world().xenstore_domain(*domid);
        }
        guest.xen.world().xenstore_publish(*domid, rest, value);
    }
    guest.run(&format!("-- {commands}; poweroff"));
    let lines = guest.lines();
    guest.end();
    lines
}

const NODE: &str = "data/grantkit/shared";

#[test]
fn an_unknown_or_ambiguous_name_is_enoent_and_says_what_to_do() {
    let peers = [(201, NODE, &b"twin"[..]), (199, NODE, b"twin"), (198, NODE, b"one")];
    let lines =
        among(&peers, "share nobody 1; share twin 1; share one 1; grants one; port offer one");
    let said = |words: &str| lines.iter().any(|line| line.contains(words));
    assert!(said("error share errno=ENOENT status=- no domain says that its name is \"nobody\""));
    assert!(said("error share errno=ENOENT status=- 2 domains say that their name is \"twin\""));
    assert!(said("ok share id=1 domid=198 pages=1"), "{lines:?}");
    assert!(said("ok grants entries=1"), "{lines:?}");
    assert!(said("ok port offer port="), "{lines:?}");
}

#[test]
fn what_a_peer_says_is_shown_harmlessly_and_taken_only_if_it_makes_sense() {
    let odd = [
        (201, NODE, &b"with blanks\x1b[2J"[..]),
        (202, NODE, &[b'x'; 2000][..]),
        (202, "data/grantkit/shared/bad", b"rw 1-4294967295"),
        (202, "data/grantkit/shared/worse", b"what?"),
    ];
    let lines = among(&odd, "peers; take 202 bad; take 202 worse; take 202 a/b; take 202 none");
    assert!(lines.iter().any(|line| line.starts_with("peer domid=201 name=with blanks\\x1b[2J")));
    assert!(lines.iter().all(|line| line.len() < 200), "{lines:?}");
    let errors: Vec<_> = lines.iter().filter(|line| line.starts_with("error take")).collect();
    let errnos: Vec<_> = errors.iter().map(|line| value(line, "errno")).collect();
    assert_eq!(errnos, ["EINVAL", "EINVAL", "ENOENT", "ENOENT"]);
}

#[test]
fn a_thousand_peers_are_a_line_each_for_those_within_reach() {
    let names: Vec<String> = (300..1300).map(|number| format!("guest{number}")).collect();
    let guest = ShellGuest::alone_with(800, fake_xen::Config::default());
    for (domid, name) in (300..1300).zip(&names).filter(|(domid, _)| *domid != 800) {
        guest.xen.world().xenstore_domain(domid);
        guest.xen.world().xenstore_publish(domid, NODE, name.as_bytes());
    }
    guest.run("-- peers; share guest801 1; poweroff");
    let results = guest.results();
    assert_eq!(results[0], "ok peers peers=256");
    assert!(results[1].starts_with("ok share id=1 domid=801"), "{results:?}");
    guest.end();
}

#[test]
fn a_name_of_an_offer_is_letters_digits_and_dashes() {
    let results = script("share 2 1; offer 1 a.b; offer 1; offer 2 x; offer 1 x y; offer 1 x");
    let errnos: Vec<_> = results[1..5].iter().map(|line| of_error(line)).collect();
    assert_eq!(errnos, ["EINVAL -", "EINVAL -", "ENOENT -", "EINVAL -"]);
    assert_eq!(results[5], "ok offer id=1 name=x");
}

#[test]
fn a_live_view_takes_its_samples_or_ends_with_a_key() {
    let guest = ShellGuest::alone();
    guest.run_beside("-- share 2 3; top 2", async {
        guest.expect("ok top samples=2").await;
        let line = "grants=3 maps=0 parked=0 ports=";
        assert_eq!(guest.lines_of(line).len(), 2, "{:?}", guest.lines());
        guest.xen.console_type("top\r");
        guest.pause(3 * SEC + 500).await;
        let from = guest.ask("q", "ok top samples=").await;
        assert_eq!(value(&from, "samples"), "3");
        // The key was consumed; a command typed earlier is not a key.
        guest.xen.console_type("top\rstatus\rpoweroff\r");
    });
    let results = guest.results();
    assert_eq!(results[3], "ok top samples=1");
    assert!(results[4].starts_with("ok status grants=3"), "{results:?}");
    guest.end();
}

#[test]
fn an_error_says_what_to_do() {
    let results = script("port bind 1 500; port bind 77 5");
    assert!(
        results[0].ends_with("errno=EINVAL status=- domain 1 offers you no port 500"),
        "{results:?}"
    );
    assert!(results[1].ends_with("errno=ESRCH status=- there is no domain 77"), "{results:?}");
    let refused = ShellGuest::alone();
    refused.xen.world().xenstore_domain(7);
    refused.run("-- xs read /local/domain/7/name; poweroff");
    let line = &refused.results()[0];
    assert!(line.contains("errno=EACCES") && line.contains("(XSA-322)"), "{line}");
    assert!(line.contains("only dom0, domain 7 and those it names may"), "{line}");
    refused.end();
}

#[test]
fn help_fits_a_terminal() {
    let guest = ShellGuest::alone();
    guest.run("-- help; poweroff");
    let lines = guest.lines();
    let end = lines.iter().position(|line| line.starts_with("ok help")).unwrap();
    assert!(end <= 22, "{lines:?}");
    assert!(lines[..end].iter().all(|line| line.len() <= 80), "{lines:?}");
}
