//! Random calls on the services over FakeXen, compared with the model after each.
#![allow(dead_code, reason = "the fuzz target uses a part of it")]

pub mod reference;
pub mod rig;
pub mod shrink;

pub use rig::{Op, run};
