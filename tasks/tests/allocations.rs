// SPDX-License-Identifier: MIT OR Apache-2.0
//! The heap refuses requests: each one once, and all of them. Each command still prints its one
//! result line, nothing is left behind, and the guest can be ended.

mod common;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::future::{Future, poll_fn};

use common::{DEMO_OK, ShellGuest, of_error, pair, value};
use embassy_futures::select::select;
use fake_xen::heap::{self, Heap, Refusal};
use fake_xen::{Task, World};
use log::LevelFilter;
use tasks::{CrashKind, DemoPlan, HeapUsage, Machine, shell};

/// [`Heap`], which can also refuse a guest everything.
struct Gate;

std::thread_local! {
    static CLOSED: Cell<bool> = const { Cell::new(false) };
}

#[expect(unsafe_code, reason = "an allocator is an unsafe trait")]
// SAFETY: each request is passed on to `Heap` unchanged.
unsafe impl GlobalAlloc for Gate {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the same.
        let ask = || unsafe { Heap.alloc(layout) };
        if CLOSED.get() { heap::refuse(0, ask).0 } else { ask() }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { Heap.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static HEAP: Gate = Gate;

/// A machine that never allocates.
struct Quiet;

impl Machine for Quiet {
    fn mode(&self) -> &'static str {
        "pv"
    }

    fn heap(&self) -> HeapUsage {
        HeapUsage::default()
    }

    fn stack(&self) -> u64 {
        0
    }

    fn cpu(&self) -> u64 {
        0
    }

    fn set_log_level(&self, _: LevelFilter) {}

    fn demo_plan(&self) -> DemoPlan {
        DemoPlan { trips: 3, bytes: 8 << 10 }
    }

    fn poweroff(&self) {}

    fn reboot(&self) {}

    fn crash(&self, _: CrashKind) {}
}

/// Runs `commands` with each request refused once.
fn refuse_each(commands: &str) -> u32 {
    for answered in 0.. {
        let guest = ShellGuest::alone();
        let line = format!("-- sleep 5; {commands}; sleep 1; share 2 1; poweroff");
        let refusal = Refusal::after(answered);
        let shell = shell::run(guest.services.clone(), Quiet, &line);
        // The shell has started once xl's watch is set and the first sleep has begun.
        let armed = || guest.system.now() > common::MS;
        let run = refusal.during(armed, shell);
        guest.xen.world().run([Task::new(&guest.services.events, run)]);
        let results = guest.results();
        assert_eq!(results.len(), commands.split(';').count() + 4, "{answered}: {results:#?}");
        let short = results.iter().position(|line| line.contains("errno=ENOMEM"));
        for (at, line) in results.iter().enumerate().filter(|(_, line)| line.starts_with("error "))
        {
            // What a refused command would have created is missing later.
            let follows = short.is_some_and(|short| short < at);
            let errno = of_error(line);
            let missing = follows && (errno.starts_with("ENOENT ") || errno.starts_with("EINVAL "));
            assert!(errno == "ENOMEM -" || missing, "{answered}: {results:#?}");
        }
        assert_eq!(results.last().map(String::as_str), Some("ok poweroff"));
        guest.end();
        if !refusal.is_done() {
            assert!(results.iter().all(|line| line.starts_with("ok ")), "{results:#?}");
            return answered;
        }
    }
    unreachable!()
}

#[test]
fn every_request_of_the_commands_that_share_and_map_may_be_refused() {
    let refused = refuse_each(
        "share 1 3; map 1 8,9,10; map 1 8 ro; write 1 0 hello; read 2 0 256; fill 1 7; sum 2; \
         state 1; state 2; notify 1 byte=3; grants; unmap 3; unmap 2; wait 1; unshare 1; \
         status; counters; help",
    );
    assert!(refused > 20, "{refused}");
}

#[test]
fn every_request_of_the_commands_about_ports_xenstore_and_options_may_be_refused() {
    let refused = refuse_each(
        "port offer 1; port bind 1 3; port send 3; port wait 4; port close 4; port close 3; \
         xs write data/a b; xs read data/a; xs list data; xs rm data/a; set gntalloc.limit 99",
    );
    assert!(refused > 10, "{refused}");
}

/// Runs the self-test with one request refused; returns whether there was one to refuse.
fn selftest_without(answered: u32) -> bool {
    let guest = ShellGuest::alone();
    let refusal = Refusal::after(answered);
    let line = "-- sleep 5; selftest; sleep 1; share 2 1; poweroff";
    let shell = shell::run(guest.services.clone(), Quiet, line);
    let armed = || guest.system.now() > common::MS;
    let run = refusal.during(armed, shell);
    guest.xen.world().run([Task::new(&guest.services.events, run)]);
    let results = guest.results();
    assert_eq!(results.len(), 5, "{answered}: {results:#?}");
    // The refused request may be one that comes after it.
    let whole = |line: &str| line.starts_with("ok ") || of_error(line) == "ENOMEM -";
    assert!(results[2..].iter().all(|line| whole(line)), "{answered}: {results:#?}");
    if results[1] != "ok selftest passed=18 failed=0" {
        let errno = of_error(&results[1]);
        assert!(errno == "EIO -" || errno == "ENOMEM -", "{answered}: {results:#?}");
        assert!(refusal.is_done(), "{answered}: {results:#?}");
    }
    assert_eq!(results[4], "ok poweroff");
    guest.end();
    refusal.is_done()
}

#[test]
fn every_request_of_the_selftest_may_be_refused() {
    let refused = (0..).take_while(|answered| selftest_without(*answered)).count();
    assert!(refused > 50, "{refused}");
}

/// Runs the demo with one request of one of its guests refused; returns whether there was one to
/// refuse.
fn demo_without(answered: u32, victim: usize) -> bool {
    let (world, granter, mapper) = pair();
    let guests = [&granter, &mapper];
    let refusal = Refusal::after(answered);
    let lines = ["-- sleep 5; demo granter", "-- sleep 5; demo mapper"];
    let life = async |role: usize| {
        let services = &guests[role].services;
        let shell = shell::run(services.clone(), Quiet, lines[role]);
        let shell = select(shell, services.upkeep());
        // The other guest's requests all succeed.
        let armed = || role == victim && guests[role].system.now() > common::MS;
        refusal.during(armed, shell).await;
    };
    let user = async {
        for _ in 0..100 {
            if guests.iter().all(|guest| guest.results().len() > 1) {
                break;
            }
            granter.pause(50).await;
        }
        // The remaining guest waits for a peer that may yet come.
        guests.iter().for_each(|guest| guest.xen.console_type("\x03\rpoweroff\r"));
    };
    world.run([
        Task::new(&granter.services.events, life(0)),
        Task::new(&mapper.services.events, life(1)),
        Task::new(&granter.services.events, user),
    ]);
    for (role, guest) in guests.iter().enumerate() {
        let results = guest.results();
        assert_eq!(results.last().map(String::as_str), Some("ok poweroff"), "{answered}");
        let demo = results.iter().find(|line| line.contains(" demo ")).expect("a result");
        if demo != DEMO_OK[role] {
            let errno = value(demo, "errno");
            let told = ["ENOMEM", "EINTR", "EIO", "EPIPE", "ETIMEDOUT"].contains(&errno);
            assert!(told && refusal.is_done(), "{answered}: {:#?}", guest.lines());
        }
    }
    granter.end();
    mapper.end();
    refusal.is_done()
}

#[test]
fn every_request_of_the_demos_granter_may_be_refused() {
    let refused = (0..).take_while(|answered| demo_without(*answered, 0)).count();
    assert!(refused > 50, "{refused}");
}

#[test]
fn every_request_of_the_demos_mapper_may_be_refused() {
    let refused = (0..).take_while(|answered| demo_without(*answered, 1)).count();
    assert!(refused > 50, "{refused}");
}

#[test]
fn with_no_memory_at_all_the_guest_lets_go_of_everything_and_ends() {
    let world = World::new();
    let guest = ShellGuest::new(&world, 1);
    let shell = shell::run(guest.services.clone(), Quiet, "-- share 1 3; map 1 8,9,10; status");
    let closed = Cell::new(false);
    let mut shell = Box::pin(shell);
    let run = poll_fn(|cx| {
        CLOSED.set(closed.get());
        let poll = shell.as_mut().poll(cx);
        CLOSED.set(false);
        poll
    });
    let user = async {
        guest.pause(100).await;
        closed.set(true);
        for (typed, answer) in [
            ("unmap 2\r", "ok unmap id=2 state=unmapped"),
            ("unshare 1\r", "ok unshare id=1 state=freed"),
            ("status\r", "ok status grants=0 parked=0 maps=0 reserved=0"),
            ("nonsense\r", "error nonsense errno=ENOMEM status=- "),
            ("xs read domid\r", "error xs read errno=ENOMEM status=- "),
            ("poweroff\r", "ok poweroff"),
        ] {
            guest.ask(typed, answer).await;
        }
    };
    let both = async {
        embassy_futures::join::join(run, user).await;
    };
    world.run([Task::new(&guest.services.events, both)]);
    drop(shell);
    guest.end();
}
