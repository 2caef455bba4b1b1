//! Grantkit's kernel as a library.
#![no_std]
#![allow(unsafe_code)]

extern crate alloc;

mod backtrace;
mod boot;
mod clock;
mod console;
pub mod crash;
mod heap;
mod hypercall;
mod image;
mod memory;
mod panicking;
pub mod power;
mod shared_info;
mod symbols;
mod traps;

/// Prints.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::__print(format_args!($($text)*)) };
}
/// Prints a line.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($text:tt)*) => { $crate::print!("{}\n", format_args!($($text)*)) };
}

#[doc(hidden)]
pub fn __print(text: core::fmt::Arguments) { console::print(text) }

fn run_app() -> ! {
    use memory::*;
    let si = layout::start_info();
    let n = si.cmd_line.iter().position(|&b| b == 0).unwrap_or(0);
    let cmd = core::str::from_utf8(&si.cmd_line[..n]).unwrap_or("?");
    println!("grantkit boots: pages {} initial_end {:?} used_end {:?} cmd {:?}", si.nr_pages, layout::initial_end(), layout::used_end(), cmd);
    println!("text {:x?} rodata {:x?} data {:x?}", image::text(), image::rodata(), image::data());
    let p = |w: &str| { let p = frames::POOL.lock(); println!("{w}: free {} total {} heap {:?} stack {} time {}", p.free(), p.total(), heap::usage(), stack::high_water(), clock::now()); };
    p("boot");
    let mut v = alloc::vec::Vec::new();
    for i in 0..100000u64 { v.push(i); }
    p("vec");
    // drain the pool
    let mut frames_taken = alloc::vec::Vec::new();
    while let Some(f) = { let f = frames::POOL.lock().take(); f } { frames_taken.push(f); }
    println!("took {}", frames_taken.len());
    p("empty");
    let mut big: alloc::vec::Vec<alloc::vec::Vec<u8>> = alloc::vec::Vec::new();
    loop { let mut b = alloc::vec::Vec::new(); if b.try_reserve_exact(65536).is_err() { break; } b.resize(65536, 1); big.push(b); }
    println!("heap took {} x 64K", big.len());
    p("full");
    drop(big);
    for f in frames_taken { unsafe { frames::POOL.lock().give_back(f) } }
    p("given back");
    println!("probe text {} stack {}", unsafe { access::probe_write(image::text().start, 1) }, { let mut x = 0u8; unsafe { access::probe_write((&raw mut x).expose_provenance(), 1) } });
    use crash::Crash::*;
    for (w, k) in [("panic", Panic), ("null", Null), ("text", Text), ("rodata", Rodata), ("exec", Exec), ("stack", Stack)] {
        if cmd.contains(w) { crash::crash(k); }
    }
    println!("hypercalls {}", hypercall::COUNTERS.hypercalls());
    power::reboot()
}
