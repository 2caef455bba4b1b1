//! The guest.
#![no_std]
#![no_main]
use grantkit as _;
