//! The Linux side of Grantkit: programs that run in dom0, and what their callers share with them.
//!
//! `agent` is the first process of the lab's dom0: it brings Xen's daemons up, runs `xl` and
//! carries the guests' consoles to whoever drives the lab. [`frame`] is the language between the
//! two.

pub mod frame;
