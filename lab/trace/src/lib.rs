// SPDX-License-Identifier: MIT OR Apache-2.0
//! A QEMU plugin (API version 1, QEMU 4.2 to 8) that records which blocks of instructions ran
//! between two marks, or counts instructions up to each mark.
//!
//! A mark is an execution of the block at a given address: where the guest reads its clock, or
//! begins. Both ways need `marks=<address>+<address>...` (hexadecimal) and `to=<path>`.
//!
//! To record, `first=<number>` and `last=<number>` say between which marks, counted from 0. The
//! file has one line per block, `block <number> <address> <sizes of its instructions> <bytes of the
//! last>`, and a line `ran <number>` for each execution. It is written at once, and only when the
//! trace is complete.
//!
//! To count, `start=<address>` and `end=<address>` say where the guest's image is, and
//! `from=<address>` after which mark blocks are counted. The file has a line per mark, `mark
//! <address> <Xen's instructions so far> <the image's> <others>`; and before the mark that follows
//! one at `from`, a line `ran <times> <address> <sizes>` for each block that ran in between.
#![expect(unsafe_code, reason = "QEMU calls in, and hands over pointers")]

mod counter;
mod marks;
mod recorder;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::slice;
use std::sync::{Mutex, PoisonError};

use counter::Counter;
use marks::{Block, Words};
use recorder::Recorder;

/// The plugin API version used here; QEMU refuses versions that it doesn't support.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

static WORK: Mutex<Option<Work>> = Mutex::new(None);

/// What the plugin does.
enum Work {
    Record(Recorder),
    Count(Counter),
}

impl Work {
    fn new(words: &Words) -> Result<Work, String> {
        match words.find("from") {
            Some(_) => Counter::new(words).map(Work::Count),
            None => Recorder::new(words).map(Work::Record),
        }
    }
}

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
    fn qemu_plugin_register_vcpu_tb_exec_inline(
        tb: *mut Tb,
        op: c_int,
        counter: *mut c_void,
        add: u64,
    );
}

/// The only operation of QEMU's on a counter: it adds.
const ADD: c_int = 0;

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
    let words = Words(words.map(|word| word.into_owned()).collect());
    match Work::new(&words) {
        Ok(new) => *WORK.lock().unwrap_or_else(PoisonError::into_inner) = Some(new),
        Err(why) => {
            eprintln!("trace: {why}");
            return 1;
        }
    }
    // SAFETY: the id is the one that QEMU passed.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    0
}

/// A block was translated: from now on its executions are counted, or reported.
extern "C" fn translated(_id: u64, tb: *mut Tb) {
    // SAFETY: valid during this call.
    let block = unsafe { block(tb) };
    let reported = told(|work| match work {
        Work::Record(recorder) => Some(recorder.add(block)),
        Work::Count(counter) => {
            let (adds, mark) = counter.add(block);
            for (to, by) in adds {
                let to = to.as_ptr().cast();
                // SAFETY: the block is being translated, and the counter is never freed.
                unsafe { qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD, to, by) };
            }
            mark
        }
    });
    if let Some(number) = reported.flatten() {
        let number = ptr::without_provenance_mut(number);
        // SAFETY: the block is being translated; the number is not a pointer, and nobody
        // dereferences it.
        unsafe { qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, 0, number) };
    }
}

/// # Safety
/// `tb` is being translated.
unsafe fn block(tb: *mut Tb) -> Block {
    // SAFETY: the caller's promise.
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
    block
}

/// A block is about to run.
extern "C" fn ran(_vcpu: c_uint, block: *mut c_void) {
    told(|work| match work {
        Work::Record(recorder) => recorder.ran(block.addr()),
        Work::Count(counter) => counter.reached(block.addr()),
    });
}

fn told<R>(tell: impl FnOnce(&mut Work) -> R) -> Option<R> {
    WORK.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(tell)
}
