// SPDX-License-Identifier: MIT OR Apache-2.0
//! A QEMU plugin (API version 1, QEMU 4.2 to 8) that records which blocks of instructions ran
//! between two marks.
//!
//! A mark is an execution of the block at a given address, where the guest reads its clock.
//! Arguments: `mark=<address>` (hexadecimal), `first=<number>` of the mark at which the trace
//! begins, counted from 0, and `to=<path>`. The next mark ends the trace. The file has one line per
//! block, `block <number> <address> <sizes of its instructions> <bytes of the last>`, and a line
//! `ran <number>` for each execution. It is written at once, and only when the trace is complete.
#![expect(unsafe_code, reason = "QEMU calls in, and hands over pointers")]

mod recorder;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::slice;
use std::sync::{Mutex, PoisonError};

use recorder::{Block, Recorder};

/// The plugin API version used here; QEMU refuses versions that it doesn't support.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

static RECORDER: Mutex<Option<Recorder>> = Mutex::new(None);

/// QEMU's translation block.
#[derive(Debug)]
#[repr(C)]
pub struct Tb {
    opaque: [u8; 0],
}

/// QEMU's instruction.
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

/// Called first by QEMU; any result but 0 makes it exit.
///
/// # Safety
/// `argv` points to `argc` strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: QEMU passes this many.
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
    // SAFETY: the id is the one that QEMU passed.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    0
}

/// A block was translated: from now on each of its executions is reported.
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
            // SAFETY: it has this many bytes.
            block.last = unsafe { slice::from_raw_parts(data, size) }.to_vec();
        }
    }
    let number = told(|recorder| recorder.add(block)).unwrap_or(0);
    let number = ptr::without_provenance_mut(number);
    // SAFETY: the block is being translated; the number is not a pointer, and nobody dereferences
    // it.
    unsafe { qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, 0, number) };
}

/// A block is about to run.
extern "C" fn ran(_vcpu: c_uint, block: *mut c_void) {
    told(|recorder| recorder.ran(block.addr()));
}

fn told<R>(tell: impl FnOnce(&mut Recorder) -> R) -> Option<R> {
    RECORDER.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(tell)
}
