//! The headers below `io/`: rings that a guest shares with the daemons of the control domain.

pub mod console;
pub mod xs_wire;
