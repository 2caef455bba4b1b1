// SPDX-License-Identifier: MIT OR Apache-2.0
//! An HTTP server in an 8 MiB guest: Debian's `vchan-socket-proxy` turns its channel into a Unix
//! socket, Debian's `curl` fetches the page from there, and a browser lays it out.
//!
//! With `--open`, it shows the page to this machine's browsers instead, until Ctrl-C.
//!
//! services/web/tests covers clients that misbehave half-way through a request, on the host.

mod forward; // from this machine's loopback to the guest

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, bail, ensure};

use self::forward::Forward;
use super::Choice;
use super::extent::Run;
use crate::guests::config::{self, Settings};
use crate::guests::{image, life};
use crate::host::browser;
use crate::host::steps::{say, step};
use crate::judge::tally::Tally;
use crate::lab::dom0::More;
use crate::lab::{Lab, apt, debian};

/// The guest.
const WEB: &str = "web";
/// The server's socket.
const SOCKET: &str = "/tmp/web";
/// Time limit for one fetch; the first waits until there is a socket.
const FETCH: Duration = Duration::from_secs(60);

const PROGRAMS: &[(&str, &str)] = &[("usr/bin/curl", "usr/bin/curl")];

/// The option that shows the page to this machine's browsers.
pub const CHOICE: Choice = Choice {
    option: "open",
    about: "Show the page at this machine's loopback, until Ctrl-C, instead of checking it",
    names: None,
    numbered: false,
};

/// A check: its name, and what it does; it returns what it saw.
type Check = (&'static str, fn(&mut Lab) -> Result<String>);

const CHECKS: [Check; 5] = [
    ("curl fetches the page, and each time a new one", fetched),
    ("an unknown path is not found", not_found),
    ("what is no request, or too long a one, is refused, and the next is served", refused),
    ("this machine's loopback shows the page, and only the page", forwarded),
    ("a browser sees nothing of the page overlap or cut off", looked_at),
];

/// Runs the tier.
pub fn run(run: &Run) -> Result<Tally> {
    let more = More { folder: debian::curl()?, programs: PROGRAMS, files: Vec::new() };
    let built = image::guest(WEB)?;
    let guest = config::files_of(WEB, &built, Settings::none().memory(8))?;
    let dom0 = run.dom0_with(&guest, &more)?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, WEB, ""))?;
    let mut tally = Tally::default();
    let domid = life::create(&mut lab, WEB, WEB, &Settings::none())?;
    lab.says(WEB, 0, "web: serves domain 0 at data/web")?;
    let path = format!("/local/domain/{domid}/data/web");
    lab.start(&["vchan-socket-proxy", &domid.to_string(), &path, SOCKET])?;
    if run.choice.is_some() {
        return open(&mut lab);
    }
    for (name, check) in CHECKS {
        tally.told(&mut lab, name, check)?;
    }
    life::remove(&mut lab, WEB)?;
    tally.witness(&mut lab, &[])?;
    Ok(tally)
}

/// Shows the page to this machine's browsers. Only Ctrl-C ends it, or an error.
fn open(lab: &mut Lab) -> Result<Tally> {
    let forward = Forward::new()?;
    say(&format!("open    http://{}/ (Ctrl-C ends it)", forward.address()));
    forward.serve(lab, get, |lab| lab.ended(WEB))?;
    bail!("the guest has ended\n{}", lab.excerpts())
}

/// The guest's whole answer for a path.
fn get(lab: &mut Lab, path: &str) -> Result<String> {
    curl(lab, &["--globoff", "--path-as-is", "--raw", &format!("http://guest{path}")])
}

/// Asks as a browser on this machine would.
fn forwarded(lab: &mut Lab) -> Result<String> {
    let forward = Forward::new()?;
    let address = forward.address();
    let ask = |method: &str, path: &str| -> Result<String> {
        let mut server = TcpStream::connect(address)?;
        server.set_read_timeout(Some(FETCH))?;
        write!(server, "{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
        let mut answer = String::new();
        server.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answers = thread::scope(|threads| {
        let asks = threads.spawn(|| [ask("GET", "/"), ask("GET", "/secret"), ask("PUT", "/")]);
        forward.serve(lab, get, |_| asks.is_finished())?;
        Ok::<_, anyhow::Error>(asks.join().expect("the client doesn't panic"))
    })?;
    for (answer, status) in answers.into_iter().zip(["200", "404", "405"]) {
        let answer = answer?;
        ensure!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "not {status}: {answer}");
        ensure!(answer.contains("<title>Domain ") == (status == "200"), "{status}: {answer}");
    }
    Ok(String::new())
}

/// Curl's output: the answer's head and body.
fn curl(lab: &mut Lab, words: &[&str]) -> Result<String> {
    let always = ["/usr/bin/curl", "-s", "-S", "-i", "--unix-socket", SOCKET];
    let patient = ["--retry", "20", "--retry-delay", "1", "--retry-all-errors"];
    let program = lab.start(&[&always[..], &patient, words].concat())?;
    let status = lab.status(program, FETCH).context("curl")?;
    let said = lab.output(program);
    ensure!(status == "0", "curl ended with status {status}: {said}");
    Ok(said)
}

/// Fetches the page.
fn page(lab: &mut Lab) -> Result<String> {
    let answer = answered(lab, &["http://guest/"], "200")?;
    let page = answer.find("<!doctype html>").context("no page")?;
    let page = answer[page..].to_owned();
    ensure!(page.trim_end().ends_with("</html>"), "half a page: {page}");
    Ok(page)
}

/// Checks that an answer has this status.
fn answered(lab: &mut Lab, words: &[&str], status: &str) -> Result<String> {
    let answer = curl(lab, words)?;
    let first = answer.lines().next().unwrap_or_default();
    ensure!(first.starts_with(&format!("HTTP/1.1 {status}")), "the answer is `{first}`");
    Ok(answer)
}

fn fetched(lab: &mut Lab) -> Result<String> {
    let domid = lab.domid(WEB)?.context("no guest")?;
    for shown in 1..=3 {
        let page = page(lab)?;
        for words in [
            format!("<title>Domain {domid}</title>"),
            format!("{shown} pages shown"),
            "to domain 0, open, ".to_owned(),
            "<rect class=\"mapped-rw\"".to_owned(),
            " pages granted to domain 0, mapped-rw".to_owned(),
        ] {
            ensure!(page.contains(&words), "it doesn't say `{words}`: {page}");
        }
    }
    Ok(String::new())
}

fn not_found(lab: &mut Lab) -> Result<String> {
    answered(lab, &["http://guest/secret"], "404").map(drop)?;
    answered(lab, &["-X", "DELETE", "http://guest/"], "405").map(drop)?;
    Ok(String::new())
}

fn refused(lab: &mut Lab) -> Result<String> {
    let long = format!("X-Long: {}", "x".repeat(3000));
    let long = ["-H", &long, "-H", &long, "http://guest/"];
    for words in [&["-X", "no such thing", "http://guest/"][..], &long] {
        answered(lab, words, "4")?;
        page(lab)?;
    }
    Ok(String::new())
}

fn looked_at(lab: &mut Lab) -> Result<String> {
    let (page, file) = (page(lab)?, lab.folder().join("page.html"));
    fs::write(&file, page)?;
    apt::installed(browser::BROWSER, &[browser::BROWSER])?;
    browser::look(&file)?;
    browser::picture(&file, &file.with_extension("png"), 800, 700)?;
    Ok(file.file_name().unwrap_or_default().display().to_string())
}
