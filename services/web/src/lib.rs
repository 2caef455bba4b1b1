// SPDX-License-Identifier: MIT OR Apache-2.0
//! An HTTP server over byte channels: `picoserve`, unmodified, on `vchan`.
//!
//! Three clients are served at the same time, with one request per channel. A malformed request
//! gets an error; one that takes longer than 3 s ends its channel.
#![no_std]

extern crate alloc;

mod page;

use core::{cell::Cell, fmt::Arguments, time::Duration};

use embassy_futures::join::join3;
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use embedded_io_async::{ErrorType, Write};
use grantkit::prelude::*;
use picoserve::response::{Response, StatusCode};
use picoserve::{Config, Error, Router, Timeouts, io, mem, routing::get, time};
use vchan::{GuestBell, GuestPages, GuestStream, Receiver, Sender, Server, Sizes};

/// Where the channel is published, relative to the guest's own path.
pub const PATH: &str = "data/web";

/// Serves `peer` for ever, and reports channels that ended with an error.
pub async fn run<X: Platform>(guest: &Services<X>, peer: DomId, say: &dyn Fn(Arguments<'_>)) {
    let (channels, shown) = (<[Channel; 3]>::default(), Cell::new(0));
    let page = async || {
        shown.set(shown.get() + 1);
        let page = page::draw(guest, peer, &channels, shown.get());
        let page = Response::ok(page.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?);
        Ok::<_, StatusCode>(page.with_content_type("text/html").with_header("Refresh", "2"))
    };
    let app = Router::new().route("/", get(page));
    let Ok(server) = Server::new(guest.clone(), peer, PATH, Sizes::default()) else { return };
    say(format_args!("serves domain {} at {PATH}", peer.get()));
    let server = Mutex::<NoopRawMutex, _>::new(server);
    let one = async |channel: &Channel| {
        let (config, mut buf) = (Config::default(), [0; 4096]);
        loop {
            channel.open.set(false);
            // One task waits for the next client, the others for their turn to do so.
            let accepted = server.lock().await.accept().await.map_err(Error::Read);
            channel.open.set(accepted.is_ok());
            channel.clients.set(channel.clients.get() + u64::from(accepted.is_ok()));
            let ended = async {
                let http = picoserve::Server::custom(&app, Clock(&guest.system), &config, &mut buf);
                http.serve(Socket(accepted?, &channel.sent)).await
            };
            if let Err(error) = ended.await {
                say(format_args!("a channel ended: {error}"));
                guest.system.sleep(Duration::from_millis(100)).await; // to limit the rate
            }
        }
    };
    let [first, second, third] = &channels;
    join3(one(first), one(second), one(third)).await;
}

/// Whether a channel is open, and what it and those before it have had: clients, bytes sent.
#[derive(Default)]
struct Channel {
    open: Cell<bool>,
    clients: Cell<u64>,
    sent: Cell<u64>,
}

struct Clock<'a, X: Platform>(&'a System<X>);

impl<X: Platform> picoserve::Timer<()> for Clock<'_, X> {
    async fn delay(&self, time: time::Duration) {
        self.0.sleep(Duration::from_millis(time.as_millis())).await;
    }
}

struct Socket<'c, X: Platform>(GuestStream<X>, &'c Cell<u64>);

impl<X: Platform> io::Socket<()> for Socket<'_, X> {
    type Error = vchan::Error;
    type ReadHalf<'a>
        = Receiver<'a, GuestPages<X>, GuestBell<X>>
    where
        Self: 'a;
    type WriteHalf<'a>
        = Writer<'a, X>
    where
        Self: 'a;

    fn split(&mut self) -> (Self::ReadHalf<'_>, Self::WriteHalf<'_>) {
        let (receiver, sender) = self.0.split();
        (receiver, Writer(sender, self.1))
    }

    async fn abort<T: picoserve::Timer<()>>(self, to: &Timeouts, by: &T) -> Ended {
        self.shutdown(to, by).await // so that an error's text still arrives
    }

    async fn shutdown<T: picoserve::Timer<()>>(self, _: &Timeouts, _: &T) -> Ended {
        self.0.close().await.map_err(Error::Write)
    }
}

type Ended = Result<(), Error<vchan::Error>>;

struct Writer<'a, X: Platform>(Sender<'a, GuestPages<X>, GuestBell<X>>, &'a Cell<u64>);

impl<X: Platform> ErrorType for Writer<'_, X> {
    type Error = vchan::Error;
}

impl<X: Platform> Write for Writer<'_, X> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, vchan::Error> {
        let written = self.0.write(bytes).await?;
        self.1.set(self.1.get() + written as u64);
        Ok(written)
    }

    async fn flush(&mut self) -> Result<(), vchan::Error> {
        Ok(())
    }
}

impl<X: Platform> io::Write for Writer<'_, X> {
    async fn write_with<F: FnOnce(mem::BorrowedCursor<'_>) -> R, R>(
        &mut self,
        fill: F,
    ) -> Result<R, vchan::Error> {
        let mut bytes = [0; 512];
        let mut buffer = mem::BorrowedBuffer::new(&mut bytes);
        let filled = fill(buffer.unfilled());
        self.write_all(buffer.filled()).await?;
        Ok(filled)
    }
}
