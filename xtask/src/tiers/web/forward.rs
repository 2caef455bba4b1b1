// SPDX-License-Identifier: MIT OR Apache-2.0
//! Forwards HTTP requests from this machine's loopback to the guest, by `curl` in dom0, which has
//! no network. Only GET is forwarded, one request at a time; anything else gets an error.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::lab::Lab;

/// How long a client may take to send its request, or to take the answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the lab is listened to before the next look for a client.
const TURN: Duration = Duration::from_millis(50);
/// The maximum length of a request's head in bytes.
const HEAD: usize = 8192;

/// A port of this machine's loopback.
pub struct Forward {
    listener: TcpListener,
    address: SocketAddr,
}

impl Forward {
    /// Opens a free port.
    pub fn new() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        listener.set_nonblocking(true)?;
        Ok(Self { address: listener.local_addr()?, listener })
    }

    /// The port's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers clients with what `fetch` returns for a path, until `done`.
    pub fn serve(
        &self,
        lab: &mut Lab,
        fetch: fn(&mut Lab, &str) -> Result<String>,
        done: impl Fn(&Lab) -> bool,
    ) -> Result<()> {
        while !done(lab) {
            match self.listener.accept() {
                Ok((client, _)) => {
                    // A client that leaves early harms only itself.
                    let _ = serve_one(client, |path| fetch(lab, path));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    lab.step(Instant::now() + TURN)?;
                }
                Err(error) => return Err(error).context("cannot accept a client"),
            }
            if let Some(trouble) = lab.trouble() {
                bail!("dom0: {trouble}");
            }
        }
        Ok(())
    }
}

/// Reads one request, and answers it.
fn serve_one(
    mut client: TcpStream,
    fetch: impl FnOnce(&str) -> Result<String>,
) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut part = [0; 512];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD {
        match client.read(&mut part)? {
            0 => break,
            read => head.extend_from_slice(&part[..read]),
        }
    }
    let answer = match wanted(&head) {
        Ok(path) => fetch(path).unwrap_or_else(|error| refusal("502 Bad Gateway", &error)),
        Err(status) => refusal(status, &status),
    };
    client.write_all(answer.as_bytes())
}

/// The path of a request; an HTTP status if it isn't one that is forwarded.
fn wanted(head: &[u8]) -> Result<&str, &'static str> {
    let bad = "400 Bad Request";
    let end = head.windows(4).position(|end| end == b"\r\n\r\n").ok_or(bad)?;
    let head = str::from_utf8(&head[..end]).map_err(|_| bad)?;
    let words: Vec<_> = head.lines().next().unwrap_or_default().split(' ').collect();
    match words[..] {
        ["GET", path, "HTTP/1.0" | "HTTP/1.1"] if path.starts_with('/') => Ok(path),
        [_, path, "HTTP/1.0" | "HTTP/1.1"] if path.starts_with('/') => {
            Err("405 Method Not Allowed")
        }
        _ => Err(bad),
    }
}

fn refusal(status: &str, why: &dyn std::fmt::Display) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n{why:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_get_request_is_forwarded() {
        assert_eq!(wanted(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok("/"));
        assert_eq!(wanted(b"GET /a?b HTTP/1.0\r\n\r\n"), Ok("/a?b"));
        assert_eq!(wanted(b"POST / HTTP/1.1\r\n\r\n"), Err("405 Method Not Allowed"));
        for bad in [
            &b""[..],
            b"GET / HTTP/1.1\r\n",
            b"GET / HTTP/2\r\n\r\n",
            b"GET http://b/ HTTP/1.1\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"\xff / HTTP/1.1\r\n\r\n",
            b"\r\n\r\n",
        ] {
            assert_eq!(wanted(bad), Err("400 Bad Request"), "{bad:?}");
        }
    }

    #[test]
    fn a_client_gets_what_was_fetched_or_why_not() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ask = |request: &[u8], fetched: Result<String>| {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.write_all(request).unwrap();
            serve_one(listener.accept().unwrap().0, |_| fetched).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            answer
        };
        let get = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(
            ask(get, Ok("HTTP/1.1 200 OK\r\n\r\npage".into())),
            "HTTP/1.1 200 OK\r\n\r\npage"
        );
        let answer = ask(get, Err(anyhow::anyhow!("no guest")));
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.ends_with("no guest\n"), "{answer}");
        assert!(ask(b"PUT / HTTP/1.1\r\n\r\n", Ok(String::new())).starts_with("HTTP/1.1 405 "));
    }
}
