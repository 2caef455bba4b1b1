//! Random calls on the services over FakeXen, compared with the model after each.
#![allow(dead_code, unused_imports, reason = "every user needs another part of it")]

pub mod reference;
pub mod rig;
pub mod shrink;
pub mod wild;

pub use rig::{Op, run};
