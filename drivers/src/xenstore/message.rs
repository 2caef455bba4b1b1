// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages as bytes: a header of four words, and a payload of at most 4096 bytes.

use alloc::vec::Vec;

use xen_sys::io::xs_wire::{XENSTORE_PAYLOAD_MAX, XsMessageType, XsdSockmsg};

use crate::{Errno, Error, list};

/// The size of a header in bytes.
pub(super) const HEADER: usize = size_of::<XsdSockmsg>();

/// Encodes a request, still without its number.
///
/// # Errors
/// E2BIG beyond 4096 bytes, because xenstore stops serving a domain that sends more; ENOMEM.
pub(super) fn encode(
    kind: XsMessageType,
    transaction: u32,
    parts: &[&[u8]],
) -> Result<Vec<u8>, Error> {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    if len > XENSTORE_PAYLOAD_MAX {
        return Err(Error::Local(Errno::E2BIG, &"xenstore takes 4096 bytes, the path included"));
    }
    let mut message = Vec::new();
    message.try_reserve_exact(HEADER + len).map_err(|_| Error::NO_MEMORY)?;
    let header = [kind.0, 0, transaction, len as u32].map(u32::to_le_bytes);
    let payload = parts.iter().copied().flatten();
    list::extend(&mut message, header.as_flattened().iter().chain(payload).copied())?;
    Ok(message)
}

/// Returns a request's type.
pub(super) fn kind(message: &[u8]) -> XsMessageType {
    message.first_chunk().map_or(XsMessageType::ERROR, |header| decode(header).type_)
}

/// Returns the transaction that a request belongs to or ends.
pub(super) fn transaction(message: &[u8]) -> u32 {
    message.first_chunk().map_or(0, |header| decode(header).tx_id)
}

/// Sets a request's number.
pub(super) fn number(message: &mut [u8], id: u32) {
    put(message, 4, &id.to_le_bytes());
}

/// Sets the transaction that a request ends.
pub(super) fn set_transaction(message: &mut [u8], id: u32) {
    put(message, 8, &id.to_le_bytes());
}

/// Makes the end of a transaction a commit.
pub(super) fn set_commit(end: &mut [u8]) {
    put(end, HEADER, b"T");
}

fn put(message: &mut [u8], at: usize, bytes: &[u8]) {
    let places = message.iter_mut().skip(at);
    places.zip(bytes).for_each(|(place, byte)| *place = *byte);
}

/// Formats a number as decimal digits, in a buffer long enough for any `u32`.
pub(super) fn digits(mut number: u32, buffer: &mut [u8; 10]) -> &[u8] {
    let mut at = buffer.len();
    for place in buffer.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        (number, at) = (number / 10, at - 1);
        if number == 0 {
            break;
        }
    }
    buffer.get(at..).unwrap_or_default()
}

/// Decodes a header.
pub(super) fn decode(bytes: &[u8; HEADER]) -> XsdSockmsg {
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    XsdSockmsg { type_: XsMessageType(word(0)), req_id: word(4), tx_id: word(8), len: word(12) }
}

/// Decodes a refusal: the name of an errno. An unknown name becomes EIO.
pub(super) fn refusal(payload: &[u8]) -> Error {
    let name = payload.split(|byte| *byte == 0).next().unwrap_or_default();
    let errno = match name {
        // What the OCaml daemon (oxenstored) says.
        b"EQUOTA" => Errno::EDQUOT,
        _ => Errno::from_name(name).unwrap_or(Errno::EIO),
    };
    Error::XenStore(errno)
}

/// Decodes a watch event: returns the length of its path, and the token.
pub(super) fn watch_event(payload: &[u8]) -> Option<(usize, u32)> {
    let mut parts = payload.split(|byte| *byte == 0);
    let (path, token) = (parts.next()?, parts.next()?);
    Some((path.len(), decimal(token)?))
}

/// Parses a number of 32 bits in decimal digits, without a sign, as xenstore and nodes have it;
/// `None` for anything else.
pub fn decimal(digits: &[u8]) -> Option<u32> {
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    // As every number here: parsing each type would take half a KiB of the image.
    u32::try_from(str::from_utf8(digits).ok()?.parse::<u64>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_an_errno() {
        assert_eq!(refusal(b"EACCES\0"), Error::XenStore(Errno::EACCES));
        assert_eq!(refusal(b"EQUOTA\0"), Error::XenStore(Errno::EDQUOT));
        for unknown in [&b"EWHATEVER\0"[..], b"", b"\0", b"EACCES_\0", &[0xff; 4096]] {
            assert_eq!(refusal(unknown), Error::XenStore(Errno::EIO));
        }
    }

    #[test]
    fn a_malformed_watch_event_is_recognized() {
        assert_eq!(watch_event(b"/a/b\x0017\0"), Some((4, 17)));
        for none in [&b""[..], b"/a", b"/a\0", b"/a\0x\0", b"/a\0+1\0", b"/a\x0099999999999\0"] {
            assert_eq!(watch_event(none), None, "{none:?}");
        }
    }

    #[test]
    fn digits_format_every_number() {
        for number in [0, 7, 10, 4_294_967_295, 1_000_000_000] {
            let text = alloc::format!("{number}");
            assert_eq!(digits(number, &mut [0; 10]), text.as_bytes());
            assert_eq!(decimal(text.as_bytes()), Some(number));
        }
    }

    #[test]
    fn a_payload_beyond_the_limit_is_not_sent() {
        let (path, value) = ([b'a'; 95], [0; 4000]);
        let parts: [&[u8]; 3] = [&path, b"\0", &value];
        let message = encode(XsMessageType::WRITE, 0, &parts).unwrap();
        assert_eq!((message.len(), message.capacity()), (HEADER + 4096, HEADER + 4096));
        let parts: [&[u8]; 3] = [&path, b"\0\0", &value];
        let refused = encode(XsMessageType::WRITE, 0, &parts);
        assert_eq!(refused.map_err(|error| error.errno()), Err(Errno::E2BIG));
    }
}
