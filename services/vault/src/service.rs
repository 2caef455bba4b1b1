// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests and answers over byte channels, each preceded by its length in four bytes.
//!
//! A request that is too long gets SSH_AGENT_FAILURE, and its channel ends, since its rest can't be
//! told from the next request.

use alloc::vec::Vec;
use core::cell::RefCell;

use embassy_futures::join::join3;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::mutex::Mutex;
use grantkit::shared::SharedBits;
use vchan::{Bell, Error, Host, Receiver, Server, StreamOn};
use zeroize::Zeroizing;

use crate::agent::{Agent, LONGEST, REFUSAL};
use crate::on_wiped_stack;

/// Where the channel is published, relative to the guest's own path.
pub const PATH: &str = "data/vault";
/// Serves three clients at the same time, for ever: the heap has room for a longest request of
/// each.
pub async fn run<H: Host>(
    host: &H,
    server: Server<H>,
    agent: &RefCell<Agent>,
    say: &dyn Fn(&Error),
) {
    let server = Mutex::<NoopRawMutex, _>::new(server);
    let one = || async {
        loop {
            // One task waits for the next client, the others for their turn to do so.
            let accepted = server.lock().await.accept().await;
            let served = match accepted {
                Ok(stream) => serve(host, stream, agent).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served.or_else(|e| if e == Error::Closed { Ok(()) } else { Err(e) })
            {
                say(&error);
                host.pause(1_000_000_000).await; // whatever the error, don't retry without pause
            }
        }
    };
    join3(one(), one(), one()).await;
}

/// Serves one client until it closes its end.
///
/// # Errors
/// Those of the channel.
pub async fn serve<H: Host>(
    host: &H,
    mut stream: StreamOn<H>,
    agent: &RefCell<Agent>,
) -> Result<(), Error> {
    let served = answer_all(host, &mut stream, agent).await;
    stream.receiver().wipe()?; // including what was not read
    served?;
    stream.close().await
}

async fn answer_all<H: Host>(
    host: &H,
    stream: &mut StreamOn<H>,
    agent: &RefCell<Agent>,
) -> Result<(), Error> {
    loop {
        let mut length = [0; 4];
        if !take(&mut stream.receiver(), &mut length).await? {
            return Ok(());
        }
        let length = u32::from_be_bytes(length) as usize;
        let mut request = Zeroizing::new(Vec::new());
        if !(1..=LONGEST).contains(&length) || request.try_reserve_exact(length).is_err() {
            return stream.write_all(&REFUSAL).await;
        }
        // It never reallocates: its only place in memory is wiped when it is dropped.
        request.resize(length, 0);
        if !take(&mut stream.receiver(), &mut request).await? {
            return Ok(());
        }
        let answer = on_wiped_stack(|| agent.borrow_mut().answer(&request));
        drop(request);
        let penalty = agent.borrow().penalty();
        host.pause(penalty).await;
        stream.write_all(&(answer.len() as u32).to_be_bytes()).await?;
        stream.write_all(&answer).await?;
    }
}

/// Fills `bytes` from the ring, and wipes them there; false if the peer closed before that.
async fn take<P: SharedBits, B: Bell>(
    receiver: &mut Receiver<'_, P, B>,
    mut bytes: &mut [u8],
) -> Result<bool, Error> {
    while !bytes.is_empty() {
        let mut seen = receiver.peek(1).await?;
        if seen.is_empty() {
            return Ok(false);
        }
        let len = seen.len().min(bytes.len());
        let (piece, rest) = bytes.split_at_mut_checked(len).unwrap_or_default();
        seen.read(0, piece)?;
        seen.wipe(len)?;
        seen.consume(len)?;
        bytes = rest;
    }
    Ok(true)
}
