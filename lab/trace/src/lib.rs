// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plugin of QEMU's (its API 1, QEMU 4.2 to 8) that writes down which blocks of instructions ran
//! between two marks.
//!
//! A mark is a run of the block at one address, the guest's look at its clock. Arguments:
//! `mark=<address>` (hexadecimal), `first=<number>` of the mark that the trace begins with, counted
//! from 0, and `to=<path>`; the next mark ends it. The file has a line for each block,
//! `block <number> <address> <sizes of its instructions> <bytes of the last>`, and a line `ran
//! <number>` for each time that one ran. It is written in one piece when the trace is whole, and
//! never without its end.
#![expect(unsafe_code, reason = "QEMU calls in, and hands over pointers")]

mod recorder;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::slice;
use std::sync::{Mutex, PoisonError};

use recorder::{Block, Recorder};

/// The version of the interface that this is written for; QEMU refuses what it doesn't know.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

static RECORDER: Mutex<Option<Recorder>> = Mutex::new(None);

/// A block of QEMU's.
#[derive(Debug)]
#[repr(C)]
pub struct Tb {
    opaque: [u8; 0],
}

/// An instruction of QEMU's.
#[derive(Debug)]
#[repr(C)]
pub struct Insn {
    opaque: [u8; 0],
}

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, translated: extern "C" fn(u64, *mut Tb));
    fn qemu_plugin_tb_n_insns(tb: *const Tb) -> usize;
    fn qemu_plugin_tb_vaddr(tb: *const Tb) -> u64;
    fn qemu_plugin_tb_get_insn(tb: *const Tb, at: usize) -> *mut Insn;
    fn qemu_plugin_insn_size(insn: *const Insn) -> usize;
    fn qemu_plugin_insn_data(insn: *const Insn) -> *const c_void;
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        tb: *mut Tb,
        ran: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        block: *mut c_void,
    );
}

/// QEMU's first call: anything but 0 ends it.
///
/// # Safety
/// `argv` has `argc` strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: so many there are.
    let words = if count == 0 { &[] } else { unsafe { slice::from_raw_parts(argv, count) } };
    // SAFETY: each is a string.
    let words = words.iter().map(|word| unsafe { CStr::from_ptr(*word) }.to_string_lossy());
    let words: Vec<String> = words.map(|word| word.into_owned()).collect();
    match Recorder::new(&words) {
        Ok(new) => *RECORDER.lock().unwrap_or_else(PoisonError::into_inner) = Some(new),
        Err(why) => {
            eprintln!("trace: {why}");
            return 1;
        }
    }
    // SAFETY: the number is the one that QEMU gave.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    0
}

/// A block was translated: from now on each of its runs is told.
extern "C" fn translated(_id: u64, tb: *mut Tb) {
    // SAFETY: valid during this call.
    let count = unsafe { qemu_plugin_tb_n_insns(tb) };
    // SAFETY: the same.
    let address = unsafe { qemu_plugin_tb_vaddr(tb) };
    let mut block = Block { address, sizes: Vec::with_capacity(count), last: Vec::new() };
    for at in 0..count {
        // SAFETY: there are `count`.
        let insn = unsafe { qemu_plugin_tb_get_insn(tb, at) };
        // SAFETY: it is the block's.
        let size = unsafe { qemu_plugin_insn_size(insn) };
        block.sizes.push(size);
        if at + 1 == count {
            // SAFETY: the same.
            let data = unsafe { qemu_plugin_insn_data(insn) }.cast::<u8>();
            // SAFETY: it has so many bytes.
            block.last = unsafe { slice::from_raw_parts(data, size) }.to_vec();
        }
    }
    let number = told(|recorder| recorder.add(block)).unwrap_or(0);
    let number = ptr::without_provenance_mut(number);
    // SAFETY: the block is being translated; the number is no pointer, and nobody follows it.
    unsafe { qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, 0, number) };
}

/// A block runs.
extern "C" fn ran(_vcpu: c_uint, block: *mut c_void) {
    told(|recorder| recorder.ran(block.addr()));
}

fn told<R>(tell: impl FnOnce(&mut Recorder) -> R) -> Option<R> {
    RECORDER.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(tell)
}
