//! What touches addresses and grant entries is private.

use drivers::grant_table::GrantTable;
use drivers::raw::{Region, Window};

fn reaching_the_tables_behind_the_services_does_not_compile() {}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
