//! Runs worked out by hand, to the nanosecond. CreateSlot takes 100, Init 50, an execution 1000, keep-alive 300 unless said otherwise.

use std::ops::ControlFlow;

use pilotlight_core::{Account, Counter, Nanos};
use pilotlight_sim::{FunctionModel, Options, SimError, simulate};

use super::{Columns, options, rows, run, slot_ns, wait_ns};

const WARM: u8 = 0;
const COLD_START: u8 = 1;
const HANDOFF: u8 = 2;
const FAILED: u8 = 3;

fn function(key: &str) -> FunctionModel {
    FunctionModel { key: key.to_owned(), memory_mb: 512, create: Nanos(100), init: Nanos(50) }
}

#[test]
fn a_lone_request_waits_for_its_start_and_leaves_one_keep_alive() {
    let report = run(&[(7, 0, 1000, false)], &[function("f")], options("fixed:keep_alive=300ns", 5000));
    assert_eq!(rows(&report), [(150, COLD_START)]);
    assert_eq!(slot_ns(&report.snapshot.totals), [150, 300, 1000, 0, 0]);
    assert_eq!(report.snapshot.totals.slot_mb_ns[Account::Idle as usize], 300 * 512);
    assert_eq!(wait_ns(&report.snapshot.totals), [150, 0, 0]);
    assert_eq!((report.snapshot.live.peak_slots, report.snapshot.live.peak_memory_mb), (1, 512));
    assert_eq!((report.waits.count(), report.waits.quantile_ns(0.5), report.waits.max_ns()), (1, 150, 150));
    assert_eq!((report.end_ns, report.unfinished()), (5007, 0));
    // Arrival, create, Init, end, retirement.
    assert_eq!(report.events, 5);
}

/// The first request executes from 150 to 1150; the second arrives at 1100 and would have its own instance at 1250.
const OVERLAPPING: [super::Request; 2] = [(0, 0, 1000, false), (1100, 0, 1000, false)];

#[test]
fn freed_instance_serves_the_waiter_and_its_start_is_cancelled() {
    let report = run(&OVERLAPPING, &[function("f")], options("fixed:keep_alive=300ns", 5000));
    assert_eq!(rows(&report), [(150, COLD_START), (50, HANDOFF)]);
    // The second slot is given back when it is created at 1200.
    assert_eq!(slot_ns(&report.snapshot.totals), [150 + 100, 300, 2000, 0, 0]);
    assert_eq!(wait_ns(&report.snapshot.totals), [150, 50, 0]);
    assert_eq!(report.snapshot.totals.count(Counter::StartsCancelled), 1);
}

#[test]
fn surplus_start_that_is_kept_stays_for_a_keep_alive() {
    let report = run(&OVERLAPPING, &[function("f")], options("fixed:keep_alive=300ns,surplus=keep", 5000));
    assert_eq!(rows(&report), [(150, COLD_START), (50, HANDOFF)]);
    assert_eq!(slot_ns(&report.snapshot.totals), [150 + 150, 300 + 300, 2000, 0, 0]);
}

#[test]
fn without_handoff_every_request_waits_for_its_own_start() {
    let report = run(&OVERLAPPING, &[function("f")], options("fixed:keep_alive=300ns,handoff=none", 5000));
    assert_eq!(rows(&report), [(150, COLD_START), (150, COLD_START)]);
    assert_eq!(slot_ns(&report.snapshot.totals), [150 + 150, 300 + 300, 2000, 0, 0]);
    assert_eq!(wait_ns(&report.snapshot.totals), [300, 0, 0]);
}

#[test]
fn surplus_slot_serves_another_function_of_its_memory() {
    let requests = [OVERLAPPING[0], OVERLAPPING[1], (1150, 1, 1000, false)];
    let report = run(&requests, &[function("f"), function("g")], options("fixed:keep_alive=300ns", 5000));
    // g takes over f's slot at 1200 and runs Init on it until 1250, when g's own slot is created and no longer needed.
    assert_eq!(rows(&report), [(150, COLD_START), (50, HANDOFF), (100, COLD_START)]);
    assert_eq!(slot_ns(&report.functions[0]), [150 + 100, 300, 2000, 0, 0]);
    assert_eq!(slot_ns(&report.functions[1]), [50 + 100, 300, 1000, 0, 0]);
    assert_eq!(report.functions[1].count(Counter::SlotsReused), 1);
}

#[test]
fn keep_alive_is_over_at_its_due_time() {
    // Free from 1150, due at 1450.
    let second =
        |arrival| rows(&run(&[(0, 0, 1000, false), (arrival, 0, 1, false)], &[function("f")], options("fixed:keep_alive=300ns", 0)))[1].1;
    assert_eq!(second(1449), WARM);
    assert_eq!(second(1450), FAILED, "it waits for a start that outlives a run without a tail");
    let report = run(&[(0, 0, 1000, false), (1450, 0, 1, false)], &[function("f")], options("fixed:keep_alive=300ns", 5000));
    assert_eq!(rows(&report)[1], (150, COLD_START));
}

#[test]
fn request_that_ends_frees_its_instance_for_one_that_arrives_then() {
    let requests = [(0, 0, 1000, false), (1150, 0, 1000, false)];
    let report = run(&requests, &[function("f")], options("fixed:keep_alive=300ns", 5000));
    assert_eq!(rows(&report)[1], (0, WARM));
    let report = run(&requests, &[function("f")], options("fixed:keep_alive=0s", 5000));
    assert_eq!(rows(&report)[1], (150, COLD_START), "a keep-alive of zero is over at once");
}

#[test]
fn bad_result_costs_the_instance() {
    let report = run(&[(0, 0, 1000, true), (1200, 0, 1000, false)], &[function("f")], options("fixed:keep_alive=300ns", 5000));
    assert_eq!(rows(&report)[1], (150, COLD_START));
    assert_eq!(slot_ns(&report.snapshot.totals), [300, 300, 2000, 0, 0]);
    assert_eq!(report.snapshot.totals.count(Counter::Destroyed), 2);
}

#[test]
fn request_fails_after_three_failed_creates() {
    let options = Options { create_failure: 1.0, ..options("fixed:keep_alive=300ns", 5000) };
    let report = run(&[(0, 0, 1000, false)], &[function("f")], options);
    assert_eq!(rows(&report), [(300, FAILED)]);
    assert_eq!(slot_ns(&report.snapshot.totals), [300, 0, 0, 0, 0]);
    assert_eq!(wait_ns(&report.snapshot.totals), [0, 0, 300]);
    assert_eq!((report.snapshot.totals.failed(), report.waits.count()), (1, 0));
    let ends = [Counter::Destroyed, Counter::NeverCreated].map(|end| report.snapshot.totals.count(end));
    assert_eq!(ends, [0, 3], "what was refused is no slot that was destroyed");
}

#[test]
fn request_fails_after_three_failed_inits() {
    let options = Options { init_failure: 1.0, ..options("fixed:keep_alive=300ns", 5000) };
    let report = run(&[(0, 0, 1000, false)], &[function("f")], options);
    assert_eq!(rows(&report), [(450, FAILED)]);
    assert_eq!(slot_ns(&report.snapshot.totals), [450, 0, 0, 0, 0]);
    assert_eq!(report.snapshot.totals.count(Counter::Destroyed), 3);
}

#[test]
fn run_ends_a_tail_after_the_last_arrival_whatever_still_goes_on() {
    // At 400 the first request executes since 150 and the other waits since 300.
    let report = run(&[(0, 0, 1000, false), (300, 0, 1000, false)], &[function("f")], options("fixed", 100));
    assert_eq!(rows(&report), [(150, COLD_START), (100, FAILED)]);
    assert_eq!(slot_ns(&report.snapshot.totals), [150 + 100, 0, 250, 0, 0]);
    assert_eq!((report.end_ns, report.unfinished()), (400, 2));
    // A free instance costs until the end.
    let report = run(&[(0, 0, 1000, false)], &[function("f")], options("fixed", 2000));
    assert_eq!(slot_ns(&report.snapshot.totals), [150, 850, 1000, 0, 0]);
}

#[test]
fn functions_that_are_never_called_have_empty_accounts() {
    let functions = [function("a"), function("b"), function("c")];
    let report = run(&[(0, 1, 1000, false)], &functions, options("fixed", 5000));
    assert_eq!(report.functions.iter().map(pilotlight_core::Totals::assigns).collect::<Vec<_>>(), [0, 1, 0]);
    assert_eq!(report.functions[1], report.snapshot.totals);
    let empty = run(&[], &functions, options("fixed", 5000));
    assert_eq!((empty.end_ns, empty.events, empty.functions.len()), (0, 0, 3));
}

#[test]
fn progress_is_told_and_may_interrupt() {
    let columns: Columns = (0..200_000).map(|request| (request, 0, 1, false)).collect();
    let mut played = Vec::new();
    let play = |progress: &mut dyn FnMut(u64) -> ControlFlow<()>| {
        simulate([Ok(&columns)], &[function("f")], Options { per_request: false, ..options("fixed", 0) }, progress)
    };
    let report = play(&mut |requests| {
        played.push(requests);
        ControlFlow::Continue(())
    });
    assert_eq!(played, [65_536, 131_072, 196_608]);
    assert_eq!(report.unwrap().requests, None);
    assert_eq!(play(&mut |_| ControlFlow::Break(())), Err(SimError::Interrupted));
}

#[test]
fn wrong_input_is_refused_with_its_row() {
    let columns: Columns = [(0, 0, 1, false), (1, 1, 1, false)].into_iter().collect();
    let error = |functions: &[FunctionModel], options| {
        let chunk: Result<_, SimError> = Ok(&columns);
        simulate([chunk], functions, options, &mut |_| ControlFlow::Continue(())).unwrap_err().to_string()
    };
    assert_eq!(error(&[function("f")], options("fixed", 0)), "row 1 is of function 1, but the function table has 1 rows");
    assert_eq!(
        error(&[function("f"), function("g"), function("f")], options("fixed", 0)),
        "rows 0 and 2 of the function table are both `f` with the same memory: keep one"
    );
    let wrong = Options { create_failure: 2.0, ..options("fixed", 0) };
    assert_eq!(error(&[function("f"), function("g")], wrong), "create_failure is 2, but a probability lies between 0 and 1");
}

#[test]
fn what_the_source_of_chunks_reports_ends_the_run() {
    let interrupted = [Ok([(0, 0, 1, false)].into_iter().collect::<Columns>()), Err(SimError::Interrupted)];
    let outcome = simulate(interrupted, &[function("f")], options("fixed", 0), &mut |_| ControlFlow::Continue(()));
    assert_eq!(outcome, Err(SimError::Interrupted));
}
