//! A port with an owner can be held, but not taken over.

use drivers::PortNumber;
use drivers::events::Events;
use fake_xen::FakeXen;

fn taking_the_consoles_port_does_not_compile(events: Events<FakeXen>) {
    let _ = events.adopt(PortNumber(2));
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
