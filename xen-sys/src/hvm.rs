// SPDX-License-Identifier: MIT OR Apache-2.0
//! `hvm/`: guests in a hardware container, including PVH.

pub mod hvm_op;
pub mod params;
pub mod start_info;
