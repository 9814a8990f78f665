//! The course of a run: what each span of time saw, and why requests found no instance.

use pilotlight_core::{Account, Counter, Nanos};
use pilotlight_sim::{FunctionModel, Options, Shortage};

use super::{options, run, slot_ns};

fn function() -> FunctionModel {
    FunctionModel { key: "f".to_owned(), memory_mb: 512, create: Nanos(100), init: Nanos(50) }
}

fn with_series(policy: &str, tail: u64, span: u64) -> Options {
    Options { series: Some(Nanos(span)), ..options(policy, tail) }
}

/// Starts at 7, is ready at 157, executes until 1157, is kept until 1457.
const LONE: [super::Request; 1] = [(7, 0, 1000, false)];

#[test]
fn spans_split_states_to_the_nanosecond() {
    let report = run(&LONE, &[function()], with_series("fixed:keep_alive=300ns", 2000, 1000));
    let series = report.series.unwrap();
    assert_eq!(series.ends, [Nanos(1000), Nanos(2000), Nanos(2007)]);
    let [first, second, last] = &series.totals[..] else { panic!("three spans") };
    assert_eq!(slot_ns(first), [150, 0, 843, 0, 0], "starting, idle, busy");
    assert_eq!(slot_ns(second), [150, 300, 1000, 0, 0]);
    assert_eq!(*last, report.snapshot.totals);
    assert_eq!((first.count(Counter::ColdStarts), first.slot_mb_ns[Account::Busy as usize]), (1, 843 * 512));
}

#[test]
fn what_happens_at_the_end_of_a_span_is_in_it() {
    let report = run(&LONE, &[function()], with_series("fixed:keep_alive=300ns", 2000, 157));
    let first = &report.series.unwrap().totals[0];
    assert_eq!((first.count(Counter::ColdStarts), slot_ns(first)[Account::Busy as usize]), (1, 0));
}

#[test]
fn watching_a_run_changes_nothing_in_it() {
    let requests: Vec<_> = (0..50).map(|row| (row * 400, 0, 700 + row * 13, row % 7 == 0)).collect();
    let watched = run(&requests, &[function()], with_series("break_even", 3000, 64));
    let plain = run(&requests, &[function()], options("break_even", 3000));
    assert_eq!((plain.series, plain.shortages), (None, None));
    assert_eq!((watched.snapshot, watched.waits, watched.events), (plain.snapshot, plain.waits, plain.events));
}

#[test]
fn shortages_tell_rising_demand_from_instances_let_go() {
    // Two at once, later one alone whose instance is gone, then one that finds it free.
    let requests = [(0, 0, 1000, false), (10, 0, 1000, false), (9000, 0, 1000, false), (10_200, 0, 1000, false)];
    let report = run(&requests, &[function()], with_series("fixed:keep_alive=300ns", 2000, 1000));
    assert_eq!(Shortage::ALL.map(Shortage::as_str), ["first_request", "new_peak", "let_go"]);
    assert_eq!(report.shortages, Some([1, 1, 1]));
    assert_eq!(report.snapshot.totals.count(Counter::WarmStarts), 1);
}

#[test]
fn requests_queued_on_one_instance_do_not_mean_that_more_were_let_go() {
    let burst = |at: u64| (0..10).map(move |row| (at + row, 0, 5, false));
    let requests: Vec<_> = burst(0).chain(burst(1_000_000)).collect();
    let report = run(&requests, &[function()], with_series("fixed:keep_alive=300ns,memory=512MB", 2000, 1000));
    assert_eq!(report.shortages, Some([1, 18, 1]));
    assert_eq!(report.snapshot.totals.count(Counter::Starts), 2, "the memory limit has room for one instance");
}

#[test]
fn an_instance_destroyed_after_a_bad_result_was_not_let_go() {
    let requests = [(0, 0, 1000, true), (5000, 0, 1000, false), (9000, 0, 1000, false)];
    let report = run(&requests, &[function()], with_series("fixed:keep_alive=300ns", 2000, 1000));
    assert_eq!(report.shortages, Some([1, 1, 1]));
}

#[test]
fn an_instance_that_never_was_ready_was_not_let_go() {
    let failing = Options { create_failure: 1.0, ..with_series("fixed", 2000, 1000) };
    let report = run(&[(0, 0, 1000, false), (5000, 0, 1000, false)], &[function()], failing);
    assert_eq!(report.shortages, Some([1, 1, 0]));
}

#[test]
fn requests_that_got_nothing_no_longer_count_as_demand() {
    let requests: Vec<_> = (0..100).map(|row| (row * 10_000, 0, 1000, false)).collect();
    let failing = Options { create_failure: 0.7, seed: 2, ..with_series("fixed:keep_alive=300ns", 2000, 1000) };
    let report = run(&requests, &[function()], failing);
    assert_eq!(report.shortages, Some([1, 0, 99]));
}

#[test]
fn requests_that_waited_longer_than_a_time_fall_to_none() {
    let slow = FunctionModel { init: Nanos(1_000_000_000), ..function() };
    let requests = [(0, 0, 1000, false), (1_000_001_000, 0, 1000, false), (1_000_003_000, 0, 1000, false)];
    let report = run(&requests, &[slow], options("fixed:keep_alive=1s", 1000));
    let longer = report.waits.longer_than(1);
    assert_eq!(longer.iter().map(|&(time, _)| time).take(3).collect::<Vec<_>>(), [1000, 10_000, 100_000]);
    assert_eq!((longer[0].1, report.waits.count()), (1, 3), "one waits for a start, one 100 ns, one not at all");
    assert_eq!(longer.last().copied(), Some((report.waits.max_ns(), 0)));
    assert!(longer.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 >= pair[1].1));
}
