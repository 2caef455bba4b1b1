//! A `Guest` comes from the kernel alone.

use grantkit::{Guest, Services, Spawner, Xen};

fn guest(services: Services<Xen>, spawner: Spawner) -> Guest {
    Guest { services, spawner, line: "" }
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
